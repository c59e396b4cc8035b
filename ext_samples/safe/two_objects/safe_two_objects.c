/* Two objects changed in one step, under the locks of both.
 *
 * Right:   Py_BEGIN_CRITICAL_SECTION2 takes the locks of both objects, in an order that is the
 *          same for a.pour(b) and b.pour(a).
 * The GIL: on a GIL build the two macros are empty; the GIL does their work there.
 */
#include <Python.h>

typedef struct {
    PyObject_HEAD
    long long level;
} Vessel;

static PyObject *
vessel_pour(PyObject *op, PyObject *other)
{
    if (!Py_IS_TYPE(other, Py_TYPE(op))) {
        PyErr_SetString(PyExc_TypeError, "can only pour into another Vessel");
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION2(op, other);
    ((Vessel *)op)->level -= 1;
    ((Vessel *)other)->level += 1;
    Py_END_CRITICAL_SECTION2();
    Py_RETURN_NONE;
}

static PyObject *
vessel_level(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    long long level;
    Py_BEGIN_CRITICAL_SECTION(op);
    level = ((Vessel *)op)->level;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLongLong(level);
}

static void
vessel_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef vessel_methods[] = {
    {"pour", vessel_pour, METH_O, "Move one unit into another vessel."},
    {"level", vessel_level, METH_NOARGS, "How much is in it."},
    {0}
};

static PyType_Slot vessel_slots[] = {
    {Py_tp_doc, "Something that can be poured into another one."},
    {Py_tp_dealloc, vessel_dealloc},
    {Py_tp_methods, vessel_methods},
    {0, NULL}
};

static PyType_Spec vessel_spec = {
    .name = "safe_two_objects.Vessel",
    .basicsize = sizeof(Vessel),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = vessel_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &vessel_spec, NULL);
    int failed = type == NULL || PyModule_AddType(module, (PyTypeObject *)type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_two_objects",
    .m_doc = "Changes two objects under the locks of both.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_two_objects(void)
{
    return PyModuleDef_Init(&module_def);
}
