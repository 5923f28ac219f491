/*
 * ask_ahead_plan.c: nested loops that give values to foreign scans get a node that asks ahead (ask_ahead.c)
 * over their outer side.
 *
 * It is done when execution starts (ask_ahead_run.c), in a copy of the plan: only then is it known which column
 * of an outer row each value is, and the first query of a session is planned before this module is loaded.
 */
#include "host.h"

#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "parser/parsetree.h"

/* A nested loop, and what it may ask ahead for. */
typedef struct Loop
{
	PlannedStmt *statement;
	NestLoop   *join;
	Bitmapset  *set_inside;		/* parameters that nodes of its inner side set */
	List	   *scans;			/* ForeignScan: of its inner side */
	List	   *expressions;	/* of each of them a List: its fdw_exprs, made of columns of the outer row */
	bool		can_fail;		/* one of these can fail for a certain row */
} Loop;

/* The plans that a plan reads, but for subqueries of its expressions. */
List *
inputs(Plan *plan)
{
	List	   *plans = NIL;

	switch (nodeTag(plan))
	{
		case T_Append:
			plans = list_copy(((Append *) plan)->appendplans);
			break;
		case T_MergeAppend:
			plans = list_copy(((MergeAppend *) plan)->mergeplans);
			break;
		case T_BitmapAnd:
			plans = list_copy(((BitmapAnd *) plan)->bitmapplans);
			break;
		case T_BitmapOr:
			plans = list_copy(((BitmapOr *) plan)->bitmapplans);
			break;
		case T_SubqueryScan:
			plans = list_make1(((SubqueryScan *) plan)->subplan);
			break;
		case T_CustomScan:
			plans = list_copy(((CustomScan *) plan)->custom_plans);
			break;
		default:
			break;
	}
	if (outerPlan(plan) != NULL)
		plans = lappend(plans, outerPlan(plan));
	if (innerPlan(plan) != NULL)
		plans = lappend(plans, innerPlan(plan));
	return plans;
}

static Bitmapset *
parameters_set(Plan *plan, Bitmapset *found)
{
	ListCell   *cell;
	ListCell   *parameter;

	if (IsA(plan, NestLoop))
		foreach(cell, ((NestLoop *) plan)->nestParams)
			found = bms_add_member(found, lfirst_node(NestLoopParam, cell)->paramno);
	foreach(cell, plan->initPlan)
		foreach(parameter, lfirst_node(SubPlan, cell)->setParam)
			found = bms_add_member(found, lfirst_int(parameter));
	foreach(cell, inputs(plan))
		found = parameters_set(lfirst(cell), found);
	return found;
}

/* ---- the scans that a loop gives values ---- */

static Var *
outer_column(Loop *loop, Node *node)
{
	ListCell   *cell;

	if (!IsA(node, Param) || ((Param *) node)->paramkind != PARAM_EXEC)
		return NULL;
	foreach(cell, loop->join->nestParams)
	{
		NestLoopParam *given = lfirst_node(NestLoopParam, cell);

		if (given->paramno == ((Param *) node)->paramid)
			return given->paramval;
	}
	return NULL;
}

static bool
takes_outer_column(Node *node, void *loop)
{
	if (node == NULL)
		return false;
	return outer_column(loop, node) != NULL || expression_tree_walker(node, takes_outer_column, loop);
}

static bool
needs_inner_row(Node *node, void *loop)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC &&
		bms_is_member(((Param *) node)->paramid, ((Loop *) loop)->set_inside))
		return true;
	return expression_tree_walker(node, needs_inner_row, loop);
}

static Node *
with_outer_columns(Node *node, void *loop)
{
	Var		   *column = node == NULL ? NULL : outer_column(loop, node);

	return column != NULL ? (Node *) copyObject(column) :
		expression_tree_mutator(node, with_outer_columns, loop);
}

bool
is_ours(ForeignScan *scan)
{
	return OidIsValid(scan->fs_server) && scan->scan.scanrelid > 0 &&
		GetFdwRoutineByServerId(scan->fs_server)->IterateForeignScan == IterateForeignScan;
}

/* "always": it is read for every outer row, so that its values are computed for each anyway. */
static void
add_scan(Loop *loop, ForeignScan *scan, bool always)
{
	Node	   *values = (Node *) scan->fdw_exprs;
	bool		fails;

	if (!takes_outer_column(values, loop) || needs_inner_row(values, loop) || !is_ours(scan) ||
		intVal(list_nth(scan->fdw_private, PLAN_AHEAD)) == 0)
		return;
	values = with_outer_columns(values, loop);
	fails = can_fail(loop->statement, values);
	if (fails && !always)
		return;
	loop->scans = lappend(loop->scans, scan);
	loop->expressions = lappend(loop->expressions, values);
	loop->can_fail = loop->can_fail || fails;
}

static bool
prunes(Plan *plan)
{
#if PG_VERSION_NUM >= 180000
	return (IsA(plan, Append) ? ((Append *) plan)->part_prune_index :
			((MergeAppend *) plan)->part_prune_index) >= 0;
#else
	return (IsA(plan, Append) ? ((Append *) plan)->part_prune_info :
			((MergeAppend *) plan)->part_prune_info) != NULL;
#endif
}

/*
 * Add the scans that are read for every outer row: what another row decides on may never be asked for.
 * "part": not all rows of this plan may be read.
 */
static void
find_scans(Plan *plan, Loop *loop, bool part, bool always)
{
	ListCell   *cell;

	switch (nodeTag(plan))
	{
		case T_ForeignScan:
			add_scan(loop, (ForeignScan *) plan, always);
			return;
		case T_NestLoop:
			find_scans(outerPlan(plan), loop, part, always);
			return;
		case T_Result:
			if (((Result *) plan)->resconstantqual != NULL)
				return;
			break;
		case T_Append:
			if (prunes(plan))
				return;
			if (part)
			{
				/* The first rows may be all that is read. */
				find_scans(linitial(((Append *) plan)->appendplans), loop, part, always);
				return;
			}
			break;
		case T_MergeAppend:
			if (prunes(plan))
				return;
			break;
		case T_CustomScan:
			if (((CustomScan *) plan)->methods != ask_ahead_methods())
				return;
			break;
		case T_Limit:
			part = true;
			always = false;		/* LIMIT 0 */
			break;
		case T_SubqueryScan:
		case T_Material:
		case T_Memoize:
		case T_IncrementalSort:
		case T_Group:
		case T_Unique:
		case T_WindowAgg:
		case T_ProjectSet:
		case T_LockRows:
			break;
		case T_Agg:
		case T_Sort:
			part = part && !reads_all_first(plan);
			break;
		default:
			return;
	}
	foreach(cell, inputs(plan))
		find_scans(lfirst(cell), loop, part, always);
}

/* ---- the plan ---- */

/* Whether a node may leave rows of an input unread, where it is itself read to its end. */
static bool
stops_early(Plan *plan, Plan *input)
{
	JoinType	jointype;

	switch (nodeTag(plan))
	{
		case T_NestLoop:
			jointype = ((Join *) plan)->jointype;
			return input == innerPlan(plan) &&
				(((Join *) plan)->inner_unique || jointype == JOIN_SEMI || jointype == JOIN_ANTI);
		case T_HashJoin:
			/* It may look at the first outer row, and then find no inner rows. */
			jointype = ((Join *) plan)->jointype;
			return input == outerPlan(plan) &&
				jointype != JOIN_LEFT && jointype != JOIN_FULL && jointype != JOIN_ANTI;
		case T_WindowAgg:
#if PG_VERSION_NUM >= 150000
			return ((WindowAgg *) plan)->runCondition != NIL;
#else
			return false;
#endif
		case T_Limit:
		case T_MergeJoin:
		case T_SetOp:
		case T_CustomScan:		/* an unknown one */
			return true;
		default:
			return false;
	}
}

static void
ask_ahead(PlannedStmt *statement, NestLoop *join, Stopping stopping)
{
	Loop		loop = {.statement = statement, .join = join};
	bool		part = stops_early((Plan *) join, innerPlan(join));

	if (join->nestParams == NIL)
		return;
	loop.set_inside = parameters_set(innerPlan(join), NULL);
	find_scans(innerPlan(join), &loop, part, true);
	if (loop.scans == NIL || !may_read_ahead(statement, outerPlan(join), false))
		return;
	if (stopping != STOPS_NEVER && (loop.can_fail || !may_read_ahead(statement, outerPlan(join), true)))
	{
		if (stopping == STOPS_EARLY)
			return;
		stopping = STOPS_WITH_RUN_AND_FAILS;
	}
	outerPlan(join) = ask_ahead_node(outerPlan(join), loop.scans, loop.expressions, stopping);
}

/* Whether a node reads its whole input before it gives its first row. */
bool
reads_all_first(Plan *plan)
{
	return IsA(plan, Sort) || IsA(plan, Hash) ||
		(IsA(plan, Agg) && (((Agg *) plan)->aggstrategy == AGG_HASHED ||
							((Agg *) plan)->aggstrategy == AGG_PLAIN));
}

static void
ask_ahead_below(PlannedStmt *statement, Plan *plan, Stopping stopping)
{
	ListCell   *cell;

	foreach(cell, inputs(plan))
	{
		Plan	   *input = lfirst(cell);

		ask_ahead_below(statement, input, reads_all_first(plan) ? STOPS_NEVER :
						stops_early(plan, input) ? STOPS_EARLY : stopping);
	}
	if (IsA(plan, NestLoop))
		ask_ahead(statement, (NestLoop *) plan, stopping);
}

/* Whether a statement writes rows to Stripe, after which an answer from before says nothing. */
static bool
writes_to_stripe(PlannedStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->resultRelations)
	{
		char		kind = rt_fetch(lfirst_int(cell), statement->rtable)->relkind;

		if (kind == RELKIND_FOREIGN_TABLE || kind == RELKIND_VIEW)
			return true;
	}
	return false;
}

static bool
reads_foreign_table(PlannedStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->rtable)
		if (lfirst_node(RangeTblEntry, cell)->relkind == RELKIND_FOREIGN_TABLE)
			return true;
	return false;
}

static bool
has_loop(Plan *plan)
{
	ListCell   *cell;

	if (plan == NULL)
		return false;
	if (IsA(plan, NestLoop) && ((NestLoop *) plan)->nestParams != NIL)
		return true;
	foreach(cell, inputs(plan))
		if (has_loop(lfirst(cell)))
			return true;
	return false;
}

/* Whether it may ask ahead at all, so that most statements are not copied. */
bool
may_ask_ahead(PlannedStmt *statement)
{
	ListCell   *cell;

	if (!reads_foreign_table(statement) || writes_to_stripe(statement))
		return false;
	foreach(cell, statement->subplans)
		if (has_loop(lfirst(cell)))
			return true;
	return has_loop(statement->planTree);
}

/* A copy whose loops ask ahead. */
PlannedStmt *
with_nodes_that_ask_ahead(PlannedStmt *statement)
{
	PlannedStmt *result = copyObject(statement);
	ListCell   *cell;

	ask_ahead_below(result, result->planTree, STOPS_WITH_RUN);
	foreach(cell, result->subplans)
		if (lfirst(cell) != NULL)
			ask_ahead_below(result, lfirst(cell), STOPS_EARLY);
	return result;
}
