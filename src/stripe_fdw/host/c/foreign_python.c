/*
 * foreign_python.c: refuse other modules that start Python in a session where it runs here.
 *
 * Multicorn and PL/Python take a running interpreter for their own and call it without its lock, which ends the
 * server. They start it with the functions below. PostgreSQL loads modules with RTLD_GLOBAL and this one is loaded
 * before them, so the dynamic linker gives them these functions instead of Python's.
 */
#include "host.h"

#include <dlfcn.h>

/* Refuse a caller without the interpreter's lock; one that has it, as Python's own modules do, is safe. */
static void
refuse_other_modules(void)
{
	if (Py_IsInitialized() && (python_is_preloaded() || (python_runs_here() && !PyGILState_Check())))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("another extension cannot start Python: stripe_fdw has loaded it in this session"),
				 python_is_preloaded()
				 ? errhint("PL/Python and Multicorn need a server without stripe_fdw in shared_preload_libraries.")
				 : errhint("Use PL/Python, Multicorn and stripe_fdw in sessions of their own.")));
}

static void *
of_python(const char *name)
{
	void	   *function = dlsym(RTLD_NEXT, name);

	if (function == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION), errmsg("Python has no function \"%s\"", name)));
	return function;
}

void
Py_Initialize(void)
{
	refuse_other_modules();
	((void (*) (void)) of_python("Py_Initialize")) ();
}

void
Py_InitializeEx(int install_signal_handlers)
{
	refuse_other_modules();
	((void (*) (int)) of_python("Py_InitializeEx")) (install_signal_handlers);
}

/* What PL/Python calls first. */
int
PyImport_AppendInittab(const char *name, PyObject *(*initialize) (void))
{
	refuse_other_modules();
	return ((int (*) (const char *, PyObject *(*) (void))) of_python("PyImport_AppendInittab")) (name, initialize);
}
