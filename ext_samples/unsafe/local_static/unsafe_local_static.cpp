/* A table that is made when it is first asked for, and kept in a static pointer.
 *
 * Wrong:   two threads both find nullptr, and both make the table: they hold two different ones, and
 *          one of them is lost.
 * The GIL: making the table calls nothing that releases it.
 * The fix: a static variable of the function, which C++ makes once (see safe/local_static).
 */
#include <Python.h>
#include <array>
#include <utility>

namespace {

constexpr int SIZES = 256;

struct Table {
    std::array<double, 1000> cells;

    explicit Table(int size)
    {
        for (double &cell : cells) {
            cell = size / (1.0 + static_cast<double>(&cell - cells.data()));
        }
    }
};

template <int size>
const Table *
table_of()
{
    static const Table *table;
    if (table == nullptr) {  // race: 1
        table = new Table{size};  // race: 2
    }
    return table;  // race: too
}

template <int... sizes>
const Table *
table_of_any(int size, std::integer_sequence<int, sizes...>)
{
    static const Table *(*const all[])() = {table_of<sizes>...};
    return all[size]();
}

PyObject *
get(PyObject *, PyObject *arg)
{
    int size = PyLong_AsInt(arg);
    if (size < 0 || size >= SIZES) {
        return PyErr_Occurred() ? nullptr : PyErr_Format(PyExc_ValueError, "from 0 to %d", SIZES - 1);
    }
    return PyLong_FromVoidPtr(const_cast<Table *>(table_of_any(size, std::make_integer_sequence<int, SIZES>{})));
}

int
module_exec(PyObject *module)
{
    return PyModule_AddIntConstant(module, "SIZES", SIZES);
}

PyMethodDef methods[] = {
    {"get", get, METH_O, "The address of the only table of this size."},
    {nullptr, nullptr, 0, nullptr}
};

}  // namespace

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(module_exec)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "unsafe_local_static",
    "A table that two threads may make.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_unsafe_local_static()
{
    return PyModuleDef_Init(&module_def);
}
