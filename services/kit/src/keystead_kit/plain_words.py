"""What pydantic finds wrong with settings and files, in words for the person who wrote them."""

from __future__ import annotations

from pydantic_core import ErrorDetails

_WORDS = {
    "missing": "is missing",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be settings, each as “name: value”",
    "enum": "must be one of: {expected}",
    "extra_forbidden": "is not known",
    "finite_number": "must be a number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "list_type": "must be a list",
    "literal_error": "must be one of: {expected}",
    "model_type": "must be settings, each as “name: value”",
    "path_not_file": "names a file that is not there",
    "path_type": "must be a path",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be text: put it in quotes",
    "url_parsing": "must be a whole address, such as https://www.example.org/",
    "url_scheme": "must be an address that begins with one of: {expected_schemes}",
    "url_type": "must be a whole address, such as https://www.example.org/",
}


def plain_words(mistake: ErrorDetails) -> str:
    """What is wrong, to be read behind the name of the setting; never the value, which may be a secret."""
    kind, context = mistake["type"], mistake.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_too_short" and context["min_length"] == 1:
        return "must not be empty"
    if kind == "too_short":
        least = context["min_length"]
        return f"needs at least {least} {'entry' if least == 1 else 'entries'}"
    plain = {name: str(value).replace("'", "").replace(" or ", ", ") for name, value in context.items()}
    return _WORDS.get(kind, "cannot be used as it is").format_map(plain)
