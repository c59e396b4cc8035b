/* What a module that imports the capsule gets. */
#include <Python.h>

typedef struct {
    void (*add)(const unsigned char *data, Py_ssize_t size);
    long long (*total)(int begin_again);
} table;
