"""The programs of SCTBench that come in several sizes: the code once, the sizes in the files that import it."""
