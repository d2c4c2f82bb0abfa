module keystead.example/posts

go 1.21
