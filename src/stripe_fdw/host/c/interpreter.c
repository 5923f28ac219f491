/*
 * interpreter.c: start Python in a backend, enter and leave it.
 *
 * The interpreter is that of the venv this module was compiled for: its path is baked in, and the isolated
 * configuration (https://docs.python.org/3/c-api/init_config.html) reads neither PYTHONPATH nor PYTHONHOME
 * nor a user's site-packages, so the environment of the server or a client cannot choose what code runs.
 */
#include "host.h"

#include "miscadmin.h"

/*
 * Written by install.py: STRIPE_FDW_PYTHON, STRIPE_FDW_VERSION (of the package, with a hash of these sources),
 * STRIPE_FDW_BUILD and, for tests, STRIPE_FDW_TEST_TABLES.
 */
#include "build.h"

/* The inputs of the build; install.py reads them from the compiled file. */
static const char build[] __attribute__((used)) = STRIPE_FDW_BUILD;

/*
 * Tests run the same sources with tables of their own, by another module that is never installed for real.
 * It is compiled in: an option or a variable would be a way to run any Python.
 */
#ifdef STRIPE_FDW_TEST_TABLES
#define TABLES_FILE STRIPE_FDW_TEST_TABLES
#else
#define TABLES_FILE NULL
#endif

static PyObject *bridge = NULL;

static bool tried = false;

/* Python was started by the postmaster, and this process has not entered it yet. */
static bool preloaded = false;

bool
python_runs_here(void)
{
	return tried;
}

bool
python_is_preloaded(void)
{
	return preloaded;
}

/*
 * Other languages in the same process would share this interpreter without releasing its lock as this module
 * does.  PL/Python sets the variable when it is loaded; foreign_python.c refuses it, and others, after us.
 */
static void
claim_python(void)
{
	int		  **shared = (int **) find_rendezvous_variable("plpython_version_bitmask");

	if (*shared != NULL || (Py_IsInitialized() && !preloaded))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("stripe_fdw cannot start Python: another extension has loaded it in this session"),
				 errhint("Use PL/Python, Multicorn and stripe_fdw in sessions of their own.")));
}

static void
check_status(PyStatus status, PyConfig *config)
{
	if (!PyStatus_Exception(status))
		return;
	PyConfig_Clear(config);
	ereport(ERROR,
			(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
			 errmsg("stripe_fdw cannot start Python %s of %s", PY_VERSION, STRIPE_FDW_PYTHON),
			 errdetail("%s: %s", status.func ? status.func : "Python",
					   status.err_msg ? status.err_msg : "exit"),
			 errhint("Run \"stripe-fdw host check\"; after moving the venv "
					 "run \"stripe-fdw host install\" again.")));
}

static void
initialize(void)
{
	PyConfig	config;

	PyConfig_InitIsolatedConfig(&config);
	config.install_signal_handlers = 0;
	config.parse_argv = 0;
	check_status(PyConfig_SetBytesString(&config, &config.program_name, STRIPE_FDW_PYTHON), &config);
	check_status(PyConfig_SetBytesString(&config, &config.executable, STRIPE_FDW_PYTHON), &config);
	check_status(Py_InitializeFromConfig(&config), &config);
	PyConfig_Clear(&config);
}

/*
 * When a backend ends, Python's threads may still be in the middle of something, while exit() takes down the
 * libraries that they use.  PostgreSQL has finished its own work by then, so exit without that clean-up.
 */
#ifdef __GLIBC__
static void
leave_at_once(int status, void *argument)
{
	(void) argument;
	fflush(NULL);
	_exit(status);
}
#endif

static void
start_interpreter(void)
{
	if (access(STRIPE_FDW_PYTHON, X_OK) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("stripe_fdw cannot start Python: the server cannot run %s: %m", STRIPE_FDW_PYTHON),
				 errhint("Its folders must be readable by the server's OS user; "
						 "run \"stripe-fdw host check\".")));
	claim_python();
	tried = true;
	if (PyImport_AppendInittab("_stripe_fdw_host", PyInit__stripe_fdw_host) != 0)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	initialize();
}

/* Import a module, exempt from garbage collection.  NULL after an exception. */
static PyObject *
import_permanently(const char *name)
{
	PyObject   *imports = PyImport_ImportModule("stripe_fdw.imports");
	PyObject   *module = NULL;

	if (imports != NULL)
		module = PyObject_CallMethod(imports, "import_permanently", "s", name);
	Py_XDECREF(imports);
	return module;
}

static void
import_preloaded(void)
{
	PyObject   *module = import_permanently("stripe_fdw.host.preload");

	if (module == NULL)
		throw_python_error();
	Py_DECREF(module);
}

/*
 * In the postmaster: start Python and import what sessions need, so that each session is a copy that has done so.
 * The interpreter is left as os.fork() leaves it to a child, and python_start() goes on from there.  The postmaster
 * itself never enters Python again.  A failure must not keep the server from starting: sessions then try themselves.
 */
void
python_preload(void)
{
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		start_interpreter();
		preloaded = true;
		import_preloaded();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(old);
		error = CopyErrorData();
		FlushErrorState();
		ereport(WARNING,
				(errmsg("stripe_fdw was not loaded ahead of sessions: %s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : 0));
		FreeErrorData(error);
	}
	PG_END_TRY();
	tried = false;
	if (preloaded)
		PyOS_BeforeFork();
}

/* Start Python, or take over what the postmaster has started.  The interpreter's lock is with us afterwards. */
static void
take_interpreter(void)
{
	if (!preloaded)
	{
		start_interpreter();
		return;
	}
	claim_python();
	preloaded = false;
	tried = true;
	PyOS_AfterFork_Child();
}

/* Import bridge.py and have it accept this module.  NULL after an exception. */
static PyObject *
load_bridge(void)
{
	PyObject   *module = import_permanently("stripe_fdw.host.bridge");
	PyObject   *explain = NULL;
	PyObject   *started = NULL;

	if (module != NULL)
		explain = PyObject_GetAttrString(module, "explain_error");
	if (explain != NULL)
	{
		/* It stays, also where start() fails: it puts what that says to do into the hint. */
		set_explain_function(explain);
		started = PyObject_CallMethod(module, "start", "sz", STRIPE_FDW_VERSION, TABLES_FILE);
	}
	if (started == NULL)
	{
		Py_XDECREF(module);
		return NULL;
	}
	Py_DECREF(started);
	return module;
}

/* Start Python and load bridge.py.  The interpreter's lock is free afterwards. */
static void
python_start(void)
{
	if (tried)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("stripe_fdw could not start Python in this session"),
				 errhint("The first error of this session says why; fix its cause and connect again.")));
	take_interpreter();
	bridge = load_bridge();
	if (bridge == NULL)
	{
		/* throw_python_error() needs no bridge; the lock must not stay with us. */
		PG_TRY();
		{
			throw_python_error();
		}
		PG_FINALLY();
		{
			PyEval_SaveThread();
		}
		PG_END_TRY();
	}
	PyEval_SaveThread();
#ifdef __GLIBC__
	on_exit(leave_at_once, NULL);
#endif
}

void
python_enter(PythonEntry *entry)
{
	if (bridge == NULL)
		python_start();
	entry->gil = PyGILState_Ensure();
	entry->owned = count_owned();
}

void
python_leave(PythonEntry *entry)
{
	drop_owned(entry->owned);
	return_pending_error();
	PyGILState_Release(entry->gil);
}

static PyObject *
bridge_function(const char *name)
{
	return own_reference(PyObject_GetAttrString(bridge, name));
}

PyObject *
bridge_call(const char *function, PyObject *arguments)
{
	PyObject   *result;

	own_reference(arguments);
	throw_pending_error();
	result = PyObject_CallObject(bridge_function(function), arguments);
	if (result != NULL)
		own_reference(result);
	else
		explain_pending_error();
	/* An interrupt that Python swallowed is still an interrupt: PostgreSQL has taken note of it only once. */
	throw_pending_error();
	if (result == NULL)
		throw_python_error();
	return result;
}
