/* Names of threads; a race of an atomic access with a plain one; seen again and again. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

static int flag;
static int many;
static pthread_barrier_t start;

static void *atomically(void *nothing)
{
    pthread_barrier_wait(&start);
    __atomic_store_n(&flag, 1, __ATOMIC_RELAXED);
    many = 1;
    return nothing;
}

static void *plainly(void *nothing)
{
    pthread_barrier_wait(&start);
    for (volatile int i = 0; i < 100000; i++)
        ;
    flag = 2;
    many = 2;
    return nothing;
}

int main(void)
{
    pthread_t a, b;
    pthread_barrier_init(&start, NULL, 3);
    for (int i = 0; i < 3; i++) {
        pthread_create(&a, NULL, atomically, NULL);
        pthread_create(&b, NULL, plainly, NULL);
        pthread_setname_np(a, "atomic");
        pthread_setname_np(b, "it's plain");
        pthread_barrier_wait(&start);
        pthread_join(a, NULL);
        pthread_join(b, NULL);
    }
    return 0;
}
