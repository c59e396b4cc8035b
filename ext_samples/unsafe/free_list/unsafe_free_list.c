/* A free list of memory blocks without a lock.
 *
 * Wrong:   two threads take the same block off the list, and two buffers share their memory:
 *          each overwrites the bytes of the other. Given back twice, the block is on the
 *          list twice: from then on the list is broken.
 * The GIL: taking a block and giving it back were one step each.
 * The fix: a PyMutex for the list (see safe/free_list).
 */
#include <Python.h>
#include <string.h>

#define BLOCK_SIZE 2048

struct block {
    struct block *next;
    char data[BLOCK_SIZE];
};

static struct block *free_blocks;  /* blocks to be used again, last one given back first */

typedef struct {
    PyObject_HEAD
    struct block *block;  /* set once, in new; nobody else has it */
    Py_ssize_t size;
} Buffer;

static struct block *
take_block(void)
{
    struct block *block = free_blocks;  /* race: 1 */
    if (block == NULL) {
        return PyMem_Calloc(1, sizeof *block);
    }
    memset(block->data, 0, sizeof block->data);  /* nothing of the last user */  /* race: too */
    free_blocks = block->next;  /* race: 2 */
    return block;
}

static void
give_back(struct block *block)
{
    block->next = free_blocks;  /* race: too */
    free_blocks = block;  /* race: too */
}

static PyObject *
buffer_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    const char *bytes;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "y#:Buffer", &bytes, &size)) {
        return NULL;
    }
    if (size > BLOCK_SIZE) {
        return PyErr_Format(PyExc_ValueError, "at most %d bytes", BLOCK_SIZE);
    }
    Buffer *self = (Buffer *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->block = take_block();
    if (self->block == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    memcpy(self->block->data, bytes, size);  /* race: too */
    self->size = size;
    return (PyObject *)self;
}

static PyObject *
buffer_read(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Buffer *self = (Buffer *)op;
    return PyBytes_FromStringAndSize(self->block->data, self->size);  /* race: too */
}

static void
buffer_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    if (((Buffer *)op)->block != NULL) {
        give_back(((Buffer *)op)->block);
    }
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef buffer_methods[] = {
    {"read", buffer_read, METH_NOARGS, "The bytes in the buffer."},
    {0}
};

static PyType_Slot buffer_slots[] = {
    {Py_tp_doc, "Buffer(bytes): a copy of some bytes."},
    {Py_tp_new, buffer_new},
    {Py_tp_dealloc, buffer_dealloc},
    {Py_tp_methods, buffer_methods},
    {0, NULL}
};

static PyType_Spec buffer_spec = {
    .name = "unsafe_free_list.Buffer",
    .basicsize = sizeof(Buffer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = buffer_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &buffer_spec, NULL);
    int failed = type == NULL || PyModule_AddType(module, (PyTypeObject *)type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_free_list",
    .m_doc = "Buffers that take their memory from an unlocked list.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_free_list(void)
{
    return PyModuleDef_Init(&module_def);
}
