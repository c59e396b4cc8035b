import botocore.session

from ftcheck import concurrently


def test_credentials_in_two_threads():
    session = botocore.session.Session()
    get = session.get_component
    concurrently(lambda: get("credential_provider"), lambda: get("credential_provider"))
