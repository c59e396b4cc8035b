import pytz


def test_timezone_name_in_any_case():
    assert pytz.timezone("europe/zurich").zone == "Europe/Zurich"
