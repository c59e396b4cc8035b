/* Two locks, taken in an order that depends on the call.
 *
 * Wrong:   a.transfer(b) locks a, then b. b.transfer(a) locks b, then a. At the same time, each
 *          thread gets its first lock and waits for the other one for ever.
 * Race:    none in C: each balance is changed under its lock.
 * The GIL: nothing between the two PyMutex_Lock calls released it, so a thread that got
 *          its first lock got the second one too.
 * The fix: one order for all, here by address (see safe/lock_order).
 */
#include <Python.h>

typedef struct {
    PyObject_HEAD
    PyMutex mutex;  /* protects the fields below */
    long long balance;
    char note[80];  /* the last movement, in words */
} Account;

/* Needs account->mutex. */
static void
book(Account *account, long long amount)
{
    account->balance += amount;
    PyOS_snprintf(account->note, sizeof account->note, "%+lld makes %lld",
                  amount, account->balance);
}

static PyObject *
account_transfer(PyObject *op, PyObject *args)
{
    PyObject *other;
    long long amount;
    if (!PyArg_ParseTuple(args, "O!L:transfer", Py_TYPE(op), &other, &amount)) {
        return NULL;
    }
    if (other == op) {
        return PyErr_Format(PyExc_ValueError, "cannot transfer to the same account");
    }
    Account *from = (Account *)op;
    Account *to = (Account *)other;
    PyMutex_Lock(&from->mutex);
    book(from, -amount);
    PyMutex_Lock(&to->mutex);
    book(to, amount);
    PyMutex_Unlock(&to->mutex);
    PyMutex_Unlock(&from->mutex);
    Py_RETURN_NONE;
}

static PyObject *
account_balance(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Account *self = (Account *)op;
    PyMutex_Lock(&self->mutex);
    long long balance = self->balance;
    PyMutex_Unlock(&self->mutex);
    return PyLong_FromLongLong(balance);
}

static void
account_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef account_methods[] = {
    {"transfer", account_transfer, METH_VARARGS, "transfer(to, amount)"},
    {"balance", account_balance, METH_NOARGS, "What is in the account."},
    {0}
};

static PyType_Slot account_slots[] = {
    {Py_tp_doc, "An account with a lock of its own."},
    {Py_tp_dealloc, account_dealloc},
    {Py_tp_methods, account_methods},
    {0, NULL}
};

static PyType_Spec account_spec = {
    .name = "unsafe_lock_order.Account",
    .basicsize = sizeof(Account),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = account_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &account_spec, NULL);
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
    .m_name = "unsafe_lock_order",
    .m_doc = "Takes two locks in the order of the call.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_lock_order(void)
{
    return PyModuleDef_Init(&module_def);
}
