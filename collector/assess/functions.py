"""The SQL functions that a check may call: an allow-list, none of them volatile.

Left out: whatever reads the clock, chance, the environment, settings, files or the catalogue;
whatever depends on the order of rows without saying so; and what can be made to need memory without
bound from a small row (`repeat`, `range` of a column is bounded by the child's limits).
"""

from __future__ import annotations

__all__ = ["ALLOWED", "BLIND", "TABLE_FUNCTIONS"]

_OPERATORS = "+ - * / // % ^ ** || ~~ !~~ ~~* !~~* ~~~ & | << >> -> ->> @> <@ && !~ ~ ^@".split()
_TEXT = """
    ascii chr concat concat_ws contains starts_with ends_with prefix suffix left right length strlen
    lower upper lcase ucase ltrim rtrim trim lpad rpad replace reverse split split_part str_split
    string_split string_split_regex regexp_matches regexp_full_match regexp_extract regexp_extract_all
    regexp_replace regexp_split_to_array position strpos instr substr substring translate unicode
    like_escape not_like_escape ilike_escape not_ilike_escape format printf bar hex to_base64
    array_to_string list_aggr nfc_normalize strip_accents
""".split()
_NUMBERS = """
    abs ceil ceiling floor round trunc sign greatest least mod divide sqrt power pow ln log log2 log10
""".split()
_LISTS = """
    list_value list_contains array_contains list_has array_has list_has_any list_has_all array_has_any
    array_has_all list_filter array_filter list_apply list_transform array_transform apply filter
    list_any_value list_concat list_cat array_concat list_distinct array_distinct list_extract
    list_element array_extract list_intersect array_intersect list_position array_position list_slice
    array_slice list_sort array_sort list_reverse_sort list_unique array_unique list_zip list_sum
    list_min list_max list_count list_bool_and list_bool_or list_first list_last list_string_agg
    list_reduce reduce len array_length flatten unnest range generate_series list_where list_select
    list_append list_prepend array_append array_prepend cardinality element_at map_extract map_keys
    map_values map_contains map_entries map map_from_entries struct_pack struct_extract row
    list_aggregate array_aggregate array_slice list_resize list_grade_up
""".split()
_JSON = """
    json json_extract json_extract_string json_extract_path json_extract_path_text json_array_length
    json_type json_keys json_valid json_exists json_contains json_value to_json from_json json_transform
    json_structure json_object json_array
""".split()
_TIME = """
    as_of date_diff datediff date_part datepart date_trunc datetrunc date_sub datesub date_add year month
    day hour minute second week isodow dayofweek epoch epoch_ms epoch_us to_timestamp make_date
    make_timestamp strptime try_strptime strftime age to_days to_hours to_minutes to_seconds to_months
    to_years to_weeks last_day
""".split()
_LOGIC = "coalesce ifnull nullif if typeof equal_null md5 sha256".split()
_AGGREGATES = """
    count count_star count_if countif sum avg min max bool_and bool_or string_agg listagg group_concat
    list array_agg arg_min arg_max min_by max_by any_value first last median mode quantile_cont
    row_number rank dense_rank lag lead
""".split()

ALLOWED: frozenset[str] = frozenset(
    [*_OPERATORS, *_TEXT, *_NUMBERS, *_LISTS, *_JSON, *_TIME, *_LOGIC, *_AGGREGATES]
)
"""Every function and operator that may stand in a check."""

BLIND: frozenset[str] = frozenset(
    """coalesce ifnull nullif if list_contains array_contains list_has array_has list_has_any list_has_all
    array_has_any array_has_all list_value list_distinct array_distinct list_concat list_cat array_concat
    list_intersect len array_length unnest count count_star count_if countif any_value first list array_agg
    list_position array_position list_unique array_unique flatten list_filter list_any_value
    equal_null""".split()
)
"""Functions that do not look inside a text, so that a pseudonym serves them as well as the name."""

TABLE_FUNCTIONS: frozenset[str] = frozenset({"unnest", "range", "generate_series"})
"""Functions that may stand in FROM."""
