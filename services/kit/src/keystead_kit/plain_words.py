"""What pydantic finds wrong with settings and files, in words for the person who wrote them."""

from __future__ import annotations

from pydantic_core import ErrorDetails

from keystead_contracts.words import Words

_WORDS = {
    "missing": Words("is missing"),
    "bool_parsing": Words("must be true or false"),
    "bool_type": Words("must be true or false"),
    "dict_type": Words("must be settings, each as “name: value”"),
    "enum": Words("must be one of: {expected}"),
    "extra_forbidden": Words("is not known"),
    "finite_number": Words("must be a number"),
    "float_parsing": Words("must be a number"),
    "float_type": Words("must be a number"),
    "greater_than": Words("must be more than {gt}"),
    "greater_than_equal": Words("must be {ge} or more"),
    "int_from_float": Words("must be a whole number"),
    "int_parsing": Words("must be a whole number"),
    "int_type": Words("must be a whole number"),
    "less_than": Words("must be less than {lt}"),
    "less_than_equal": Words("must be {le} or less"),
    "list_type": Words("must be a list"),
    "literal_error": Words("must be one of: {expected}"),
    "model_type": Words("must be settings, each as “name: value”"),
    "path_not_file": Words("names a file that is not there"),
    "path_type": Words("must be a path"),
    "string_too_long": Words("must have at most {max_length} characters"),
    "string_too_short": Words("must have at least {min_length} characters"),
    "string_type": Words("must be text: put it in quotes"),
    "url_parsing": Words("must be a whole address, such as https://www.example.org/"),
    "url_scheme": Words("must be an address that begins with one of: {expected_schemes}"),
    "url_type": Words("must be a whole address, such as https://www.example.org/"),
}
_OTHERWISE = Words("cannot be used as it is")


def plain_words(mistake: ErrorDetails) -> str:
    """What is wrong, to be read behind the name of the setting; never the value, which may be a secret."""
    kind, context = mistake["type"], mistake.get("ctx", {})
    if kind == "value_error":
        error = context["error"]
        return next((why for why in error.args if isinstance(why, Words)), str(error))
    if kind == "string_too_short" and context["min_length"] == 1:
        return Words("must not be empty")
    if kind == "too_short":
        least = context["min_length"]
        return Words.plural("needs at least {n} entry", "needs at least {n} entries", least)
    plain = {name: str(value).replace("'", "").replace(" or ", ", ") for name, value in context.items()}
    return Words(_WORDS.get(kind, _OTHERWISE).message, **plain)
