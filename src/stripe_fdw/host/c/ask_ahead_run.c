/*
 * ask_ahead_run.c: where execution starts, plans get nodes that ask ahead; where it runs, these learn
 * whether all rows are read.
 *
 * How many rows are read of a plan is known no sooner: FETCH, SELECT INTO of PL/pgSQL, a function in SQL of
 * which one row is needed, and a client's message that asks for some rows read a part.
 */
#include "host.h"

#include "executor/executor.h"

static ExecutorStart_hook_type next_start = NULL;
static ExecutorRun_hook_type next_run = NULL;

/* Runs that read a part of their rows, innermost first: a function of one may run another. */
typedef struct PartialRun
{
	EState	   *estate;
	struct PartialRun *outer;
} PartialRun;

static PartialRun *partial_runs = NULL;

bool
reads_part(EState *estate)
{
	PartialRun *run;

	for (run = partial_runs; run != NULL; run = run->outer)
		if (run->estate == estate)
			return true;
	return false;
}

/*
 * The copy goes with the execution: a function in SQL starts thousands in one context.  Callers keep the plan
 * that they know, which has the same range table.
 */
static void
start_execution(QueryDesc *query, int flags)
{
	PlannedStmt *statement = query->plannedstmt;
	MemoryContext context = NULL;

	if (may_ask_ahead(statement))
	{
		MemoryContext old;

		context = AllocSetContextCreate(CurrentMemoryContext, "stripe_fdw plan", ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(context);
		query->plannedstmt = with_nodes_that_ask_ahead(statement);
		MemoryContextSwitchTo(old);
	}
	(next_start ? next_start : standard_ExecutorStart) (query, flags);
	if (context != NULL)
	{
		MemoryContextSetParent(context, query->estate->es_query_cxt);
		query->plannedstmt = statement;
	}
}

#if PG_VERSION_NUM >= 180000
#define RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define RUN_ARGUMENTS query, direction, count
#else
#define RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool once
#define RUN_ARGUMENTS query, direction, count, once
#endif

static void
run(RUN_PARAMETERS)
{
	PartialRun	partial = {query->estate, partial_runs};

	if (count == 0)
	{
		(next_run ? next_run : standard_ExecutorRun) (RUN_ARGUMENTS);
		return;
	}
	partial_runs = &partial;
	PG_TRY();
	{
		(next_run ? next_run : standard_ExecutorRun) (RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		partial_runs = partial.outer;
	}
	PG_END_TRY();
}

void
install_executor_hooks(void)
{
	register_ask_ahead();
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = start_execution;
	next_run = ExecutorRun_hook;
	ExecutorRun_hook = run;
}
