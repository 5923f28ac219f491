/*
 * ask_ahead_outer.c: whether rows of a loop's outer side may be read before the loop needs them.
 *
 * Nothing must happen earlier that a query could notice: no volatile function, lock or write.  And where a
 * query may stop before the last row, rows that it never reaches must not fail it.
 */
#include "host.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

/* The expressions of a node that are its kind's alone; false for a kind that is not known to be harmless. */
static bool
own_expressions(Plan *plan, List **found)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SubqueryScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_BitmapAnd:
		case T_BitmapOr:
		case T_Material:
		case T_Sort:
		case T_IncrementalSort:
		case T_Group:
		case T_Agg:
		case T_Unique:
		case T_SetOp:
		case T_Gather:
		case T_GatherMerge:
		case T_Append:
		case T_MergeAppend:
		case T_ProjectSet:
			return true;
		case T_IndexScan:
			*found = list_make2(((IndexScan *) plan)->indexqualorig, ((IndexScan *) plan)->indexorderbyorig);
			return true;
		case T_IndexOnlyScan:
			*found = list_make2(((IndexOnlyScan *) plan)->indexqual, ((IndexOnlyScan *) plan)->indexorderby);
			return true;
		case T_BitmapIndexScan:
			*found = list_make1(((BitmapIndexScan *) plan)->indexqualorig);
			return true;
		case T_BitmapHeapScan:
			*found = list_make1(((BitmapHeapScan *) plan)->bitmapqualorig);
			return true;
		case T_TidScan:
			*found = list_make1(((TidScan *) plan)->tidquals);
			return true;
		case T_FunctionScan:
			*found = list_make1(((FunctionScan *) plan)->functions);
			return true;
		case T_ValuesScan:
			*found = list_make1(((ValuesScan *) plan)->values_lists);
			return true;
		case T_ForeignScan:
			*found = list_make1(((ForeignScan *) plan)->fdw_exprs);
			return true;
		case T_NestLoop:
			*found = list_make1(((Join *) plan)->joinqual);
			return true;
		case T_MergeJoin:
			*found = list_make2(((Join *) plan)->joinqual, ((MergeJoin *) plan)->mergeclauses);
			return true;
		case T_HashJoin:
			*found = list_make2(((Join *) plan)->joinqual, ((HashJoin *) plan)->hashclauses);
			return true;
		case T_Hash:
			*found = list_make1(((Hash *) plan)->hashkeys);
			return true;
		case T_Memoize:
			*found = list_make1(((Memoize *) plan)->param_exprs);
			return true;
		case T_WindowAgg:
			*found = list_make2(((WindowAgg *) plan)->startOffset, ((WindowAgg *) plan)->endOffset);
			return true;
		case T_Limit:
			*found = list_make2(((Limit *) plan)->limitOffset, ((Limit *) plan)->limitCount);
			return true;
		case T_Result:
			*found = list_make1(((Result *) plan)->resconstantqual);
			return true;
		case T_CustomScan:			/* another node that asks ahead, put there by ask_ahead_plan.c */
			return ((CustomScan *) plan)->methods == ask_ahead_methods();
		default:
			return false;
	}
}

typedef struct Reading
{
	PlannedStmt *statement;
	bool		may_stop;
} Reading;

/* Where a plan stands in what is read. */
typedef struct Place
{
	bool		at_first_row;	/* what it reads before its first row is read before the first outer row */
	bool		streams;		/* the nodes above keep nothing of rows from before a rescan */
} Place;

static bool reads_harmlessly(Plan *plan, Reading *reading, Place place);

/* Whether an expression has a subquery that must not run earlier than it would. */
static bool
has_harmful_subquery(Node *node, void *context)
{
	Reading    *reading = context;
	Place		place = {false, false};

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) &&
		!reads_harmlessly(list_nth(reading->statement->subplans, ((SubPlan *) node)->plan_id - 1), reading, place))
		return true;
	return expression_tree_walker(node, has_harmful_subquery, context);
}

/* ---- expressions that can fail ---- */

static bool
sets_parameter(Plan *plan, int number)
{
	ListCell   *cell;

	if (plan == NULL)
		return false;
	foreach(cell, plan->initPlan)
		if (list_member_int(lfirst_node(SubPlan, cell)->setParam, number))
			return true;
	foreach(cell, inputs(plan))
		if (sets_parameter(lfirst(cell), number))
			return true;
	return false;
}

/* Whether a parameter is the value of a subquery, which runs when it is first needed. */
static bool
is_of_subquery(PlannedStmt *statement, int number)
{
	ListCell   *cell;

	foreach(cell, statement->subplans)
		if (sets_parameter(lfirst(cell), number))
			return true;
	return sets_parameter(statement->planTree, number);
}

static bool
is_not_leakproof(Oid function, void *context)
{
	(void) context;
	return !get_func_leakproof(function);
}

static bool
calls_what_can_fail(Node *node, void *statement)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC &&
		is_of_subquery(statement, ((Param *) node)->paramid))
		return true;
	return check_functions_in_node(node, is_not_leakproof, NULL) ||
		expression_tree_walker(node, calls_what_can_fail, statement);
}

/* Whether an expression can fail for a certain row, even if it takes no column: CASE, AND and OR decide. */
bool
can_fail(PlannedStmt *statement, Node *expression)
{
	return contain_leaked_vars(expression) || contain_subplans(expression) ||
		calls_what_can_fail(expression, statement);
}

/* ---- plans ---- */

static bool
is_harmless(Node *expression, Reading *reading)
{
	if (contain_volatile_functions(expression) || has_harmful_subquery(expression, reading))
		return false;
	return !reading->may_stop || !can_fail(reading->statement, expression);
}

/* The expressions of a plan's columns. */
static List *
columns_of(Plan *plan)
{
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, plan->targetlist)
		columns = lappend(columns, lfirst_node(TargetEntry, cell)->expr);
	return columns;
}

static Place
place_of_input(Plan *plan, Plan *input, Place place)
{
	if ((IsA(plan, Append) && input != linitial(((Append *) plan)->appendplans)) ||
		(IsA(plan, NestLoop) && input == innerPlan(plan)))
		place.at_first_row = false;
	switch (nodeTag(plan))
	{
		case T_NestLoop:
		case T_Append:
		case T_SubqueryScan:
		case T_Result:
		case T_ProjectSet:
		case T_Limit:
		case T_CustomScan:
		case T_Memoize:			/* reads an entry anew that it has not finished */
			break;
		default:
			place.streams = false;
	}
	return place;
}

static bool
reads_harmlessly(Plan *plan, Reading *reading, Place place)
{
	List	   *own = NIL;
	ListCell   *cell;

	check_stack_depth();
	if (plan == NULL || !own_expressions(plan, &own) ||
		!is_harmless((Node *) own, reading) ||
		!is_harmless((Node *) columns_of(plan), reading) ||
		!is_harmless((Node *) plan->qual, reading) ||
		!is_harmless((Node *) plan->initPlan, reading))
		return false;
	/*
	 * What an error of ours says can wait until its row is needed (ask_ahead.c), but no other's.  Nodes that
	 * keep rows would after a rescan go on with those from before the error.
	 */
	if (reading->may_stop && IsA(plan, ForeignScan) && !(place.streams && is_ours((ForeignScan *) plan)))
		return false;
	if (IsA(plan, CteScan))
	{
		Place		place_of_cte = {place.at_first_row, false};

		if (!reads_harmlessly(list_nth(reading->statement->subplans, ((CteScan *) plan)->ctePlanId - 1), reading,
							  place_of_cte))
			return false;
	}
	/* What is read before the first row is read no earlier than it would be. */
	if (place.at_first_row && reads_all_first(plan))
		return true;
	foreach(cell, inputs(plan))
		if (!reads_harmlessly(lfirst(cell), reading, place_of_input(plan, lfirst(cell), place)))
			return false;
	return true;
}

bool
may_read_ahead(PlannedStmt *statement, Plan *outer, bool may_stop)
{
	Reading		reading = {statement, may_stop};
	Place		place = {true, true};

	return reads_harmlessly(outer, &reading, place);
}
