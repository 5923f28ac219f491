/*
 * owned.c: the references that Python entries own, innermost last.
 *
 * Nothing here raises an SQL error, so every other file may use it, errors.c too.
 */
#include "host.h"

#include "miscadmin.h"

/* So many places stay between statements: rows of 200 with a few values each need no more. */
#define PLACES_KEPT 4096

static PyObject **owned = NULL;
static Py_ssize_t owned_count = 0;
static Py_ssize_t owned_size = 0;

/* How many references are owned now: python_leave() drops those that come after. */
Py_ssize_t
count_owned(void)
{
	return owned_count;
}

/*
 * Give a reference to the innermost entry.  False, and the reference is dropped, if there is no memory left.
 */
bool
add_owned(PyObject *reference)
{
	if (owned_count == owned_size)
	{
		Py_ssize_t	size = owned_size ? owned_size * 2 : 256;
		PyObject  **larger = realloc(owned, size * sizeof(PyObject *));

		if (larger == NULL)
		{
			Py_DECREF(reference);
			return false;
		}
		owned = larger;
		owned_size = size;
	}
	owned[owned_count++] = reference;
	return true;
}

/* Give back the memory of a burst, such as a qual with a million values, once little of it is used. */
static void
shrink(void)
{
	PyObject  **smaller;

	if (owned_size <= PLACES_KEPT || owned_count > PLACES_KEPT / 2)
		return;
	smaller = realloc(owned, PLACES_KEPT * sizeof(PyObject *));
	if (smaller == NULL)
		return;
	owned = smaller;
	owned_size = PLACES_KEPT;
}

/*
 * Drop the references above a count.  This may run finalizers, and they may check for interrupts.  There are
 * none now: an error may be on its way, which a second one would replace, and Python ignores what a finalizer
 * raises.
 */
void
drop_owned(Py_ssize_t count)
{
	uint32		held = InterruptHoldoffCount;

	HOLD_INTERRUPTS();
	while (owned_count > count)
	{
		PyObject   *last = owned[--owned_count];

		/* A finalizer may enter again, so the count is right before it runs. */
		Py_DECREF(last);
	}
	PyErr_Clear();
	InterruptHoldoffCount = held;
	shrink();
}
