from networkx.utils.configs import Config

from ftcheck import concurrently


def test_first_instances_of_a_class():
    class Greeting(Config):
        text: str
        times: int = 1

    def greet():
        assert Greeting(text="hello").times == 1

    concurrently(greet, greet)
