/*
 * error_stack.c: PostgreSQL's stack of errors while one of them is handled, and steps in which none may be
 * raised.
 *
 * A transaction that aborts calls us in the middle of handling the error that aborted it.  The code that handles it
 * still reads it afterwards, so FlushErrorState(), which drops all errors, must not be the last word.
 */
#include "host.h"

#include "miscadmin.h"

/*
 * Whether an error is being handled, and its SQLSTATE.  Only geterrcode() knows, which raises where there is
 * none.  With exit_on_error no session survives an error, and that one would be its end.
 */
bool
error_is_handled(int *sqlstate)
{
	MemoryContext old = CurrentMemoryContext;
	uint32		interrupts_held = InterruptHoldoffCount;
	uint32		cancels_held = QueryCancelHoldoffCount;
	volatile int code = 0;
	volatile bool handled = false;

	*sqlstate = 0;
	if (ExitOnAnyError || MemoryContextIsEmpty(ErrorContext))
		return false;
	PG_TRY();
	{
		code = geterrcode();
		handled = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		FlushErrorState();
		InterruptHoldoffCount = interrupts_held;	/* the error has set them to 0 */
		QueryCancelHoldoffCount = cancels_held;
	}
	PG_END_TRY();
	*sqlstate = code;
	return handled;
}

/* Put an error back on the empty stack, where those who handle it expect it. */
static void
put_back(ErrorData *error)
{
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		ReThrowError(error);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
	}
	PG_END_TRY();
}

static void
show_as_warning(void)
{
	ErrorData  *error = CopyErrorData();

	FlushErrorState();
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg_internal("%s", client_text(error->message)),
			 error->detail ? errdetail_internal("%s", client_text(error->detail)) : 0,
			 error->hint ? errhint("%s", client_text(error->hint)) : 0));
}

/*
 * Do a step while nothing may fail: its error is shown as a warning, and no cancel comes between.  The
 * current memory context must be one of the caller's, which it deletes.
 */
void
without_error(void (*step) (void *), void *argument)
{
	MemoryContext old = CurrentMemoryContext;
	uint32		interrupts_held = InterruptHoldoffCount;
	uint32		cancels_held = QueryCancelHoldoffCount;
	int			sqlstate;
	ErrorData  *outer = error_is_handled(&sqlstate) ? CopyErrorData() : NULL;

	HOLD_INTERRUPTS();
	PG_TRY();
	{
		step(argument);
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(old);
		show_as_warning();
	}
	PG_END_TRY();
	if (outer != NULL && !error_is_handled(&sqlstate))
		put_back(outer);
	InterruptHoldoffCount = interrupts_held;	/* an error has set them to 0 */
	QueryCancelHoldoffCount = cancels_held;
}
