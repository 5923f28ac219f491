/*
 * ask_ahead.c: the node over the outer side of a nested loop that asks Stripe ahead.
 *
 * It reads some outer rows before the loop needs them, has what the inner foreign scans will request for them
 * requested, and hands the rows on unchanged, in their order.  Answers wait where the scans look for them
 * (fdw/reading/ahead.py), so a scan that finds none, for whatever reason, requests it as ever.
 *
 * Where a query above may stop before the last row, the node is ahead by at most half of the rows that the loop
 * has taken; else by the most that the tables allow, from the start.
 */
#include "host.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

/* Rows that are big are read one at a time. */
#define BYTES_AHEAD (1024 * 1024)

/* In custom_private. */
enum NodePart
{
	NODE_SCANS,					/* ForeignScan, ...: in custom_exprs each has a List of its values */
	NODE_STOPPING				/* Integer: a Stopping */
};

/* One of the inner scans. */
typedef struct AskedScan
{
	HostScan	scan;			/* of which its rows are not used */
	Index		rtindex;
} AskedScan;

typedef struct AskAheadState
{
	CustomScanState custom;
	List	   *scans;			/* AskedScan */
	int			most;			/* rows ahead */
	Stopping	stopping;
	int64		taken;			/* rows handed out since the last rescan */
	bool		exhausted;		/* the outer side has no more rows */
	ErrorData  *failure;		/* with which the outer side ended after these rows, or NULL */
	bool		begun;			/* tables are open */
	List	   *rows;			/* MinimalTuple, ... read and not handed out */
	Size		bytes;			/* of rows */
	TupleTableSlot *handed_out;
	TupleTableSlot *read;
	MemoryContext rows_context;
	MemoryContext ask_context;
} AskAheadState;

static CustomScanMethods scan_methods;
static CustomExecMethods execution_methods;

const CustomScanMethods *
ask_ahead_methods(void)
{
	return &scan_methods;
}

/* ---- the plan ---- */

/* Over "outer", with its columns: those of its rows, and what the node gives. */
Plan *
ask_ahead_node(Plan *outer, List *scans, List *expressions, Stopping stopping)
{
	CustomScan *node = makeNode(CustomScan);
	Plan	   *plan = &node->scan.plan;
	ListCell   *cell;

	plan->startup_cost = outer->startup_cost;
	plan->total_cost = outer->total_cost;
	plan->plan_rows = outer->plan_rows;
	plan->plan_width = outer->plan_width;
	plan->plan_node_id = outer->plan_node_id;
	plan->extParam = bms_copy(outer->extParam);
	plan->allParam = bms_copy(outer->allParam);
	plan->lefttree = outer;
	foreach(cell, outer->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Node	   *value = (Node *) entry->expr;
		Var		   *var = makeVar(OUTER_VAR, entry->resno, exprType(value), exprTypmod(value),
								  exprCollation(value), 0);
		TargetEntry *row = makeTargetEntry((Expr *) var, entry->resno, entry->resname, entry->resjunk);
		TargetEntry *given = flatCopyTargetEntry(row);

		given->expr = (Expr *) copyObject(var);
		((Var *) given->expr)->varno = INDEX_VAR;
		node->custom_scan_tlist = lappend(node->custom_scan_tlist, row);
		plan->targetlist = lappend(plan->targetlist, given);
	}
	node->custom_exprs = expressions;
	node->custom_private = list_make2(scans, makeInteger(stopping));
	node->methods = &scan_methods;
	return plan;
}

/* ---- execution ---- */

static Node *
create_state(CustomScan *plan)
{
	AskAheadState *state = (AskAheadState *) newNode(sizeof(AskAheadState), T_CustomScanState);

	(void) plan;
	state->custom.methods = &execution_methods;
	return (Node *) state;
}

static AskedScan *
asked_scan(ForeignScan *plan, List *values, CustomScanState *node)
{
	AskedScan  *asked = palloc0(sizeof(AskedScan));

	asked->rtindex = plan->scan.scanrelid;
	read_plan(&asked->scan, plan, node->ss.ps.state);
	asked->scan.values = ExecInitExprList(values, (PlanState *) node);
	return asked;
}

static void
begin_node(CustomScanState *node, EState *estate, int flags)
{
	AskAheadState *state = (AskAheadState *) node;
	CustomScan *plan = castNode(CustomScan, node->ss.ps.plan);
	PlanState  *outer = outerPlanState(node) = ExecInitNode(outerPlan(plan), estate, flags);
	ListCell   *scan;
	ListCell   *values;

	/* Its rows come in slots of either kind. */
	node->ss.ps.resultopsset = true;
	node->ss.ps.resultopsfixed = false;
	node->ss.ps.outeropsset = true;
	node->ss.ps.outeropsfixed = true;
	node->ss.ps.outerops = &TTSOpsMinimalTuple;
	forboth(scan, list_nth(plan->custom_private, NODE_SCANS), values, plan->custom_exprs)
	{
		ForeignScan *foreign = lfirst_node(ForeignScan, scan);

		state->scans = lappend(state->scans, asked_scan(foreign, lfirst(values), node));
		state->most = Max(state->most, (int) intVal(list_nth(foreign->fdw_private, PLAN_AHEAD)));
	}
	state->stopping = (Stopping) intVal(list_nth(plan->custom_private, NODE_STOPPING));
	state->handed_out = ExecInitExtraTupleSlot(estate, ExecGetResultType(outer), &TTSOpsMinimalTuple);
	state->read = ExecInitExtraTupleSlot(estate, ExecGetResultType(outer), &TTSOpsMinimalTuple);
	state->rows_context = AllocSetContextCreate(CurrentMemoryContext, "stripe_fdw rows ahead",
												ALLOCSET_DEFAULT_SIZES);
	state->ask_context = AllocSetContextCreate(CurrentMemoryContext, "stripe_fdw ask ahead",
											   ALLOCSET_DEFAULT_SIZES);
}

/* Ask for what one scan will request for the row that was read; Python is entered. */
static void
ask_for(HostScan *scan, ForeignScan *plan, EState *estate)
{
	Holder	   *holder = scan->holder;

	if (holder->table == NULL)
	{
		hold(&holder->table, open_table(scan->relid, scan_user(estate, plan)));
		hold(&holder->scan, bridge_call("requests_ahead", Py_BuildValue("(Oin)", holder->table, scan->fresh,
																		executor_run(holder))));
	}
	bridge_call("ask_ahead", Py_BuildValue("(OOOOOn)", holder->scan, scan_quals(scan),
										   sort_to_python(scan->relid, scan->sort), scan_limit(scan),
										   column_names(scan->relid, scan->named), executor_run(holder)));
}

/* The values that the inner scans will have for the row that was read. */
static void
compute_asked_values(AskAheadState *state)
{
	ExprContext *context = state->custom.ss.ps.ps_ExprContext;
	CustomScan *plan = castNode(CustomScan, state->custom.ss.ps.plan);
	ListCell   *cell;
	ListCell   *expressions;

	ResetExprContext(context);
	context->ecxt_outertuple = state->read;
	forboth(cell, state->scans, expressions, plan->custom_exprs)
	{
		HostScan   *scan = &((AskedScan *) lfirst(cell))->scan;
		ListCell   *value;
		ListCell   *expression;
		int			i = 0;

		forboth(value, scan->values, expression, (List *) lfirst(expressions))
		{
			scan->computed[i].type = exprType(lfirst(expression));
			scan->computed[i].datum = ExecEvalExprSwitchContext(lfirst(value), context,
																&scan->computed[i].isnull);
			i++;
		}
	}
}

static void
ask(AskAheadState *state)
{
	CustomScan *plan = castNode(CustomScan, state->custom.ss.ps.plan);
	MemoryContext old;
	PythonEntry entry;

	compute_asked_values(state);
	old = MemoryContextSwitchTo(state->ask_context);
	python_enter(&entry);
	PG_TRY();
	{
		ListCell   *cell;
		ListCell   *scan;

		forboth(cell, state->scans, scan, list_nth(plan->custom_private, NODE_SCANS))
			ask_for(&((AskedScan *) lfirst(cell))->scan, lfirst_node(ForeignScan, scan),
					state->custom.ss.ps.state);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->ask_context);
}

/* Nodes that an error has left are running for EXPLAIN ANALYZE, which refuses such. */
static bool
stop_instrumentation(PlanState *node, void *context)
{
	if (node->instrument != NULL && !INSTR_TIME_IS_ZERO(node->instrument->starttime))
		InstrStopNode(node->instrument, 0);
	return planstate_tree_walker(node, stop_instrumentation, context);
}

/*
 * The next outer row.  Where a request of a foreign scan below fails, which no query may ever need, the error
 * waits until its row is needed.  Nothing of PostgreSQL's was under way but the nodes below, which are not
 * called again but to end.
 */
static TupleTableSlot *
outer_row(AskAheadState *state, bool may_stop)
{
	PlanState  *outer = outerPlanState(&state->custom);
	MemoryContext old = CurrentMemoryContext;
	TupleTableSlot *volatile row = NULL;

	if (!may_stop)
		return ExecProcNode(outer);
	PG_TRY();
	{
		row = ExecProcNode(outer);
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(state->rows_context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (!is_own_error(error) || category == ERRCODE_OPERATOR_INTERVENTION ||
			category == ERRCODE_INSUFFICIENT_RESOURCES)
			PG_RE_THROW();
		state->failure = error;
		MemoryContextSwitchTo(old);
		FlushErrorState();
		(void) stop_instrumentation(outer, NULL);
	}
	PG_END_TRY();
	return row;
}

/* Read another outer row, and ask for what it needs. */
static void
read_row(AskAheadState *state, bool may_stop)
{
	TupleTableSlot *row = outer_row(state, may_stop);
	MemoryContext old;
	MinimalTuple tuple;

	if (TupIsNull(row))
	{
		state->exhausted = true;
		return;
	}
	old = MemoryContextSwitchTo(state->rows_context);
	tuple = ExecCopySlotMinimalTuple(row);
	state->rows = lappend(state->rows, tuple);
	MemoryContextSwitchTo(old);
	state->bytes += tuple->t_len;
	ExecStoreMinimalTuple(tuple, state->read, false);
	ask(state);
	ExecClearTuple(state->read);
}

static TupleTableSlot *
next_row(CustomScanState *node)
{
	AskAheadState *state = (AskAheadState *) node;
	bool		may_stop = state->stopping != STOPS_NEVER &&
		(state->stopping == STOPS_EARLY || reads_part(node->ss.ps.state));
	int64		ahead = !may_stop ? state->most : state->stopping == STOPS_WITH_RUN_AND_FAILS ? 0 :
		Min((state->taken + 1) / 2, state->most);
	MinimalTuple tuple;

	/* EvalPlanQual looks at one row. */
	if (node->ss.ps.state->es_epq_active != NULL)
		return ExecProcNode(outerPlanState(node));
	state->taken++;
	if (ahead == 0 && state->rows == NIL && !state->exhausted)
		return ExecProcNode(outerPlanState(node));
	ExecClearTuple(state->handed_out);
	while (!state->exhausted && list_length(state->rows) <= ahead &&
		   (state->rows == NIL || state->bytes < BYTES_AHEAD))
	{
		CHECK_FOR_INTERRUPTS();
		read_row(state, may_stop);
	}
	if (state->rows == NIL && state->failure != NULL)
		ReThrowError(state->failure);
	if (state->rows == NIL)
		return state->handed_out;
	tuple = linitial(state->rows);
	state->rows = list_delete_first(state->rows);
	state->bytes -= tuple->t_len;
	return ExecStoreMinimalTuple(tuple, state->handed_out, true);
}

static void
rescan(CustomScanState *node)
{
	AskAheadState *state = (AskAheadState *) node;

	ExecClearTuple(state->handed_out);
	state->rows = NIL;
	state->bytes = 0;
	MemoryContextReset(state->rows_context);
	state->exhausted = false;
	state->failure = NULL;
	state->taken = 0;
	if (outerPlanState(node)->chgParam == NULL)
		ExecReScan(outerPlanState(node));
}

static void
end_node(CustomScanState *node)
{
	AskAheadState *state = (AskAheadState *) node;
	PythonEntry entry;
	ListCell   *cell;

	ExecClearTuple(state->handed_out);
	ExecEndNode(outerPlanState(node));
	python_enter(&entry);
	PG_TRY();
	{
		foreach(cell, state->scans)
		{
			Holder	   *holder = ((AskedScan *) lfirst(cell))->scan.holder;

			close_scan(holder);
			hold(&holder->table, NULL);
		}
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

/* ---- EXPLAIN ---- */

static void
show_statistics(AskAheadState *state, ExplainState *es)
{
	PythonEntry entry;
	ListCell   *cell;

	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *lines = Py_None;

		foreach(cell, state->scans)
		{
			Holder	   *holder = ((AskedScan *) lfirst(cell))->scan.holder;

			if (holder->scan != NULL)
				lines = bridge_call("statistics", Py_BuildValue("(OO)", holder->scan, lines));
		}
		if (lines != Py_None)
			show_lines(lines, es);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

static void
explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	AskAheadState *state = (AskAheadState *) node;
	List	   *names = NIL;
	ListCell   *cell;

	(void) ancestors;
	foreach(cell, state->scans)
		names = lappend(names, list_nth(es->rtable_names, ((AskedScan *) lfirst(cell))->rtindex - 1));
	ExplainPropertyList("Stripe Tables Asked", names, es);
	ExplainPropertyInteger("Stripe Rows Ahead", NULL, state->most, es);
	if (es->analyze)
		show_statistics(state, es);
}

static CustomScanMethods scan_methods = {
	.CustomName = "Stripe Asks Ahead",
	.CreateCustomScanState = create_state,
};

static CustomExecMethods execution_methods = {
	.CustomName = "Stripe Asks Ahead",
	.BeginCustomScan = begin_node,
	.ExecCustomScan = next_row,
	.EndCustomScan = end_node,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = explain,
};

void
register_ask_ahead(void)
{
	/* Another copy of this module has registered the name: a session with two is refused when Python starts. */
	if (GetCustomScanMethods(scan_methods.CustomName, true) == NULL)
		RegisterCustomScanMethods(&scan_methods);
}
