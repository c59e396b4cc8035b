/* Two threads add to a global and to a heap block; one of them holds a mutex, which does not help. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static int counter;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t start;

static inline void bump(int *place) { *place += 1; }

static void *with_lock(void *block)
{
    pthread_barrier_wait(&start);
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&lock);
        bump(&counter);
        bump(block);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *without(void *block)
{
    pthread_barrier_wait(&start);
    for (int i = 0; i < 1000; i++) {
        bump(&counter);
        bump(block);
    }
    return NULL;
}

int main(void)
{
    pthread_t a, b;
    int *block = calloc(4, sizeof *block);
    pthread_barrier_init(&start, NULL, 2);
    pthread_create(&a, NULL, with_lock, block);
    pthread_create(&b, NULL, without, block);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    free(block);
    return 0;
}
