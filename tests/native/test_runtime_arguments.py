"""What a call that is a border is given, and gives back, comes through: whatever registers it is in."""

import array
import platform
from pathlib import Path

import pytest

from tests.native.snippets import COMPILERS, build, run, watched_here

pytestmark = watched_here

_PRIVATE = """
long __attribute__((noinline)) many(long a, long b, long c, long d, long e, long f, double g, double h, long i, double j) {
    return a + 2*b + 3*c + 4*d + 5*e + 6*f + (long)(7*g) + (long)(8*h) + 9*i + (long)(10*j); }
struct large { long parts[7]; };
struct large hidden(long a, double b) { struct large made = {{a, (long)b, 3, 4, 5, 6, 7}}; return made; }
struct pair { double a; long b; };
struct pair two(double a, long b) { struct pair made = {a * 2, b * 2}; return made; }
long double wide(long double a) { return a / 3; }
#include <stdarg.h>
double sum(int count, ...) {
    va_list all; va_start(all, count); double s = 0;
    for (int i = 0; i < count; i++) s += i % 2 ? va_arg(all, int) : va_arg(all, double);
    va_end(all); return s; }
"""

_USES_PRIVATE = """
struct large { long parts[7]; };
struct pair { double a; long b; };
long many(long, long, long, long, long, long, double, double, long, double);
struct large hidden(long, double);
struct pair two(double, long);
long double wide(long double);
double sum(int, ...);
static volatile long shared;
static void left(void) { shared++; }
static void right(void) { shared++; }
static PyObject *values(PyObject *module, PyObject *argument)
{
    struct large a = hidden(11, 12.5);
    struct pair b = two(1.5, 21);
    return Py_BuildValue("ldldld", many(1, 2, 3, 4, 5, 6, 7.0, 8.0, 9, 10.0), (double)wide(1.0L) * 3,
                         a.parts[0] * 100 + a.parts[1] + a.parts[6], b.a, b.b, sum(6, 1.5, 2, 3.5, 4, 5.5, 6));
}
#define MORE {"values", values, METH_NOARGS, NULL},
"""


@pytest.mark.parametrize("cc", COMPILERS)
def test_arguments_and_results_come_through(tmp_path, cc):
    """Many, in registers and on the stack, as structures, as long doubles, and as many as there are."""
    library = build(tmp_path, _PRIVATE, name="private", whole=True, instrumented=False)
    build(tmp_path, _USES_PRIVATE, cc=cc, link=(str(library), f"-Wl,-rpath,{tmp_path}"))
    outcome = run(tmp_path, "def body():\n    return snippet.values()")

    assert outcome.said == [1 + 4 + 9 + 16 + 25 + 36 + 49 + 64 + 81 + 100, 1.0, 1119, 3.0, 42, 22.5], outcome.output


_SHORT_VECTORS = """
typedef double pair __attribute__((vector_size(16)));
__attribute__((noinline)) pair added(pair a, pair b, pair c, pair d, pair e, pair f, pair g, pair h)
{ return a + 10*b + 100*c + 1000*d + 1e4*e + 1e5*f + 1e6*g + 1e7*h; }
"""
_USES_SHORT_VECTORS = """
typedef double pair __attribute__((vector_size(16)));
pair added(pair, pair, pair, pair, pair, pair, pair, pair);
static volatile long shared;
static void left(void) { shared++; }
static void right(void) { shared++; }
static PyObject *values(PyObject *module, PyObject *argument)
{
    pair a = {1, 2};
    a = added(a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6, a + 7);
    return Py_BuildValue("dd", a[0], a[1]);
}
#define MORE {"values", values, METH_NOARGS, NULL},
"""


@pytest.mark.parametrize("cc", COMPILERS)
def test_vectors_come_through(tmp_path, cc):
    library = build(tmp_path, _SHORT_VECTORS, name="private", whole=True, instrumented=False)
    build(tmp_path, _USES_SHORT_VECTORS, cc=cc, link=(str(library), f"-Wl,-rpath,{tmp_path}"))
    outcome = run(tmp_path, "def body():\n    return [snippet.values() for _ in range(1000)][-1]")

    assert outcome.said == [87654321.0, 98765432.0], outcome.output


_SCALABLE = """
#include <arm_sve.h>
__attribute__((noinline)) svfloat64_t added(svbool_t which, svfloat64_t a, svfloat64_t b)
{ return svadd_f64_m(which, a, b); }
"""
_USES_SCALABLE = """
#include <arm_sve.h>
svfloat64_t added(svbool_t, svfloat64_t, svfloat64_t);
static volatile long shared;
static void left(void) { shared++; }
static void right(void) { shared++; }
static PyObject *values(PyObject *module, PyObject *argument)
{
    PyErr_Clear();
    svfloat64_t all = added(svptrue_b64(), svdup_f64(1), svdup_f64(10));
    return Py_BuildValue("dd", svaddv_f64(svptrue_b64(), all) / svcntd(), svlastb_f64(svptrue_b64(), all));
}
#define MORE {"values", values, METH_NOARGS, NULL},
"""
_AT_HWCAP, _SVE = 16, 1 << 22


def _has_sve():
    if platform.machine() != "aarch64":
        return False
    words = array.array("L", Path("/proc/self/auxv").read_bytes())
    return bool(dict(zip(words[::2], words[1::2], strict=True)).get(_AT_HWCAP, 0) & _SVE)


@pytest.mark.skipif(not _has_sve(), reason="this processor has no SVE")
@pytest.mark.parametrize("cc", COMPILERS)
def test_vectors_of_any_width_come_through(tmp_path, cc):
    """Functions that take them are called by a convention of their own, and say so."""
    sve = ("-march=armv8-a+sve",)
    library = build(tmp_path, _SCALABLE, name="private", whole=True, instrumented=False, flags=sve)
    build(tmp_path, _USES_SCALABLE, cc=cc, flags=sve, link=(str(library), f"-Wl,-rpath,{tmp_path}"))
    outcome = run(tmp_path, "def body():\n    return [snippet.values() for _ in range(100)][-1]")

    assert outcome.said == [11.0, 11.0], outcome.output


_VECTOR = """
#include <immintrin.h>
__attribute__((target("avx2"), noinline)) __m256d
added(__m256d a, __m256d b, __m256d c, __m256d d, __m256d e, __m256d f, __m256d g, __m256d h)
{ return a + b + c + d + e + f + g + h; }
"""
_USES_VECTOR = """
#include <immintrin.h>
__m256d added(__m256d, __m256d, __m256d, __m256d, __m256d, __m256d, __m256d, __m256d);
static volatile long shared;
static void left(void) { shared++; }
static void right(void) { shared++; }
__attribute__((target("avx2"))) static PyObject *values(PyObject *module, PyObject *argument)
{
    __m256d a = _mm256_set_pd(1, 2, 3, 4);
    a = added(a, a * 10, a * 100, a * 1000, a * 1e4, a * 1e5, a * 1e6, a * 1e7);
    double parts[4];
    _mm256_storeu_pd(parts, a);
    return Py_BuildValue("dddd", parts[0], parts[1], parts[2], parts[3]);
}
#define MORE {"values", values, METH_NOARGS, NULL},
"""


def _has_avx2():
    if platform.machine() != "x86_64":
        return False
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return " avx2" in file.read()
    except OSError:
        return False


@pytest.mark.skipif(not _has_avx2(), reason="this processor has no AVX2")
def test_wide_vectors_come_through(tmp_path):
    library = build(tmp_path, _VECTOR, name="private", whole=True, instrumented=False)
    build(tmp_path, _USES_VECTOR, link=(str(library), f"-Wl,-rpath,{tmp_path}"))
    outcome = run(tmp_path, "def body():\n    return [snippet.values() for _ in range(1000)][-1]")

    assert outcome.said == [11111111.0 * n for n in (4, 3, 2, 1)], outcome.output
