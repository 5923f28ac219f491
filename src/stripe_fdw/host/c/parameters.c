/*
 * parameters.c: the values of quals and of LIMIT when a scan starts: parameters, a join's values, now().
 */
#include "host.h"

#include "common/int.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

static bool
needs_join_value(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		return true;
	return expression_tree_walker(node, needs_join_value, context);
}

/* Whether a subquery that the expression needs has not run: it does so when its value is first asked for. */
static bool
needs_pending_subquery(Node *node, void *estate)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		return ((EState *) estate)->es_param_exec_vals[((Param *) node)->paramid].execPlan != NULL;
	return expression_tree_walker(node, needs_pending_subquery, estate);
}

static bool
needs_unknown_parameter(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN)
	{
		ParamListInfo parameters = context;
		int			number = ((Param *) node)->paramid;

		return parameters == NULL || number > parameters->numParams;
	}
	return expression_tree_walker(node, needs_unknown_parameter, context);
}

/* The placeholder that EXPLAIN shows for a value known only at run time; NULL if the value is known. */
static char *
placeholder(ForeignScanState *node, Expr *expression, bool of_subqueries)
{
	if (of_subqueries && needs_pending_subquery((Node *) expression, node->ss.ps.state))
		return pstrdup("<subquery value>");
	if (!of_subqueries && needs_join_value((Node *) expression, NULL))
		return pstrdup("<join value>");
	if (needs_unknown_parameter((Node *) expression, node->ss.ps.state->es_param_list_info))
		return IsA(expression, Param) ? psprintf("$%d", ((Param *) expression)->paramid) :
			pstrdup("<parameter>");
	return NULL;
}

/*
 * Compute fdw_exprs.  It is done before Python is entered: an expression may be a query that takes its time,
 * or another scan of ours.
 */
void
compute_values(ForeignScanState *node, bool explaining)
{
	HostScan   *scan = node->fdw_state;
	ListCell   *cell;
	int			i = 0;

	foreach(cell, scan->values)
	{
		ScanValue  *value = &scan->computed[i];
		Expr	   *expression = list_nth(((ForeignScan *) node->ss.ps.plan)->fdw_exprs, i);

		value->type = exprType((Node *) expression);
		value->placeholder = explaining ?
			placeholder(node, expression, list_member_int(scan->of_subqueries, i)) : NULL;
		if (value->placeholder == NULL)
			value->datum = ExecEvalExprSwitchContext(lfirst(cell),
													 node->ss.ps.ps_ExprContext, &value->isnull);
		i++;
	}
}

/* The scan's quals with the values computed last; owned. */
PyObject *
scan_quals(HostScan *scan)
{
	PyObject   *list = own_reference(PyList_New(0));
	ListCell   *cell;

	foreach(cell, scan->quals)
	{
		List	   *qual = lfirst_node(List, cell);
		int			count = list_length(qual) - PLANNED_QUAL_VALUES;
		ScanValue  *values = palloc(sizeof(ScanValue) * Max(count, 1));
		int			i;

		for (i = 0; i < count; i++)
			values[i] = scan->computed[intVal(list_nth(qual, PLANNED_QUAL_VALUES + i))];
		add_qual(list, scan->relid, (AttrNumber) intVal(linitial(qual)), strVal(lsecond(qual)),
				 (QualKind) intVal(lthird(qual)), values, count);
	}
	return list;
}

/* How many rows the query can use at most, as an int, or None; owned. */
PyObject *
scan_limit(HostScan *scan)
{
	int			indexes[2] = {scan->limit_index, scan->offset_index};
	int64		sum = 0;
	int			i;

	if (scan->limit_index < 0)
		return Py_None;
	for (i = 0; i < 2 && indexes[i] >= 0; i++)
	{
		ScanValue  *value = &scan->computed[indexes[i]];

		if (value->placeholder != NULL || (value->isnull && i == 0))
			return Py_None;		/* LIMIT NULL is none */
		/* PostgreSQL's Limit node reports a value that is negative or too large. */
		if (!value->isnull && (DatumGetInt64(value->datum) < 0 ||
							   pg_add_s64_overflow(sum, DatumGetInt64(value->datum), &sum)))
			return Py_None;
	}
	return own_reference(PyLong_FromLongLong(sum));
}
