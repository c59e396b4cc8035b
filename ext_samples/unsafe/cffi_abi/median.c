/* The median of some numbers: a C function with a static work array.
 *
 * Wrong: two threads in median() copy and sort their numbers in the same array.
 */
#include <stdlib.h>
#include <string.h>

#define CAPACITY 4096

static double work[CAPACITY];

static int
compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;  /* race */
    return (a > b) - (a < b);
}

/* The upper median of values[0:size]; 0 for no or too many values. */
double
median(const double *values, size_t size)
{
    if (size == 0 || size > CAPACITY) {
        return 0.0;
    }
    memcpy(work, values, size * sizeof *values);  /* race */
    qsort(work, size, sizeof *work, compare);
    return work[size / 2];  /* race */
}
