/* The median of some numbers: a C function with a static work array.
 *
 * Right: the mutex is held from the copy to the reading of the result.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY 4096

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  /* protects work */
static double work[CAPACITY];

static int
compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The upper median of values[0:size]; 0 for no or too many values. */
double
median(const double *values, size_t size)
{
    if (size == 0 || size > CAPACITY) {
        return 0.0;
    }
    pthread_mutex_lock(&mutex);
    memcpy(work, values, size * sizeof *values);
    qsort(work, size, sizeof *work, compare);
    double result = work[size / 2];
    pthread_mutex_unlock(&mutex);
    return result;
}
