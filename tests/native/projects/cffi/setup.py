from setuptools import setup

setup(cffi_modules=["build_racy_cffi.py:ffibuilder"], py_modules=["racy_cffi"])
