/* A counter without a lock, in a library that Python calls through cffi. */
static long total;

/* A function of its own: within the loop, the compiler would read `total` once, in the line of the loop. */
__attribute__((noinline)) static void
step(void)
{
    total++; /* RACE */
}

void
add(long times)
{
    for (long i = 0; i < times; i++) {
        step();
    }
}
