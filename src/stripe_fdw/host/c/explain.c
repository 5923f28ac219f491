/*
 * explain.c: the table's lines in EXPLAIN, and in EXPLAIN ANALYZE what a scan or a write has cost.
 */
#include "host.h"

#include <ctype.h>

#include "nodes/params.h"
#include "utils/lsyscache.h"

/* Show a number, with a unit or without, as a number: JSON, XML and YAML know such.  False for other texts. */
static bool
show_quantity(const char *label, const char *text, ExplainState *es)
{
	char	   *end;
	double		number = strtod(text, &end);

	if (!isdigit((unsigned char) text[0]) || (*end != '\0' && strcmp(end, " ms") != 0))
		return false;
	ExplainPropertyFloat(label, *end ? end + 1 : NULL, number, strchr(text, '.') ? 1 : 0, es);
	return true;
}

/*
 * A list of (label, text), checked by bridge.py, as lines of the plan.  JSON, XML and YAML have a label once
 * in a node: there, the requests are a list, also where there is only one.
 */
void
show_lines(PyObject *lines, ExplainState *es)
{
	List	   *requests = NIL;
	Py_ssize_t	i;

	for (i = 0; i < PyList_GET_SIZE(lines); i++)
	{
		PyObject   *line = PyList_GET_ITEM(lines, i);
		char	   *label = message_text(PyTuple_GET_ITEM(line, 0));
		char	   *text = message_text(PyTuple_GET_ITEM(line, 1));

		if (es->format != EXPLAIN_FORMAT_TEXT && strcmp(label, "Stripe Request") == 0)
			requests = lappend(requests, text);
		else if (es->format == EXPLAIN_FORMAT_TEXT || !show_quantity(label, text, es))
			ExplainPropertyText(label, text, es);
	}
	if (requests != NIL)
		ExplainPropertyList("Stripe Requests", requests, es);
}

void
ExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	HostScan   *scan = node->fdw_state;
	PythonEntry entry;

	compute_values(node, true);
	python_enter(&entry);
	PG_TRY();
	{
		Holder	   *holder = scan->holder;
		PyObject   *quals = scan_quals(scan);

		show_lines(bridge_call("describe", Py_BuildValue("(OOOOiO)", holder->table, quals,
														 sort_to_python(scan->relid, scan->sort),
														 scan_limit(scan), (int) es->verbose,
														 column_names(scan->relid, scan->named))), es);
		if (es->analyze)
			show_lines(scan_statistics(holder), es);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

/* Which columns UPDATE and INSERT send. */
static void
show_columns(Relation relation, List *attnums, ExplainState *es)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, attnums)
		names = lappend(names, get_attname(RelationGetRelid(relation), (AttrNumber) intVal(lfirst(cell)), false));
	ExplainPropertyList("Stripe Columns", names, es);
}

/*
 * The value of an expression if it is the same for all rows and the plan shows it: a constant, or a parameter
 * of an EXECUTE.
 */
static bool
known_value(Expr *expression, EState *estate, Datum *value, bool *isnull)
{
	ParamListInfo parameters = estate->es_param_list_info;

	if (IsA(expression, Const))
	{
		*value = ((Const *) expression)->constvalue;
		*isnull = ((Const *) expression)->constisnull;
		return true;
	}
	if (IsA(expression, Param) && ((Param *) expression)->paramkind == PARAM_EXTERN &&
		parameters != NULL && parameters->paramFetch == NULL &&
		((Param *) expression)->paramid <= parameters->numParams)
	{
		ParamExternData *parameter = &parameters->params[((Param *) expression)->paramid - 1];

		*value = parameter->value;
		*isnull = parameter->isnull;
		return parameter->ptype == ((Param *) expression)->paramtype;
	}
	return false;
}

/* The columns of an UPDATE, of which targets are the new values, whose values are known: a dict; owned. */
static PyObject *
known_values(ResultRelInfo *rinfo, EState *estate, List *attnums, List *targets)
{
	TupleDesc	desc = RelationGetDescr(rinfo->ri_RelationDesc);
	PyObject   *known = own_reference(PyDict_New());
	ListCell   *target = list_head(targets);
	ListCell   *cell;

	/* A BEFORE trigger may put another value in its place. */
	if (rinfo->ri_TrigDesc != NULL && rinfo->ri_TrigDesc->trig_update_before_row)
		return known;
	foreach(cell, attnums)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, lfirst_int(cell) - 1);
		Datum		value;
		bool		isnull;

		while (target != NULL && lfirst_node(TargetEntry, target)->resjunk)
			target = lnext(targets, target);
		if (target == NULL)
			break;
		if (known_value(lfirst_node(TargetEntry, target)->expr, estate, &value, &isnull) &&
			PyDict_SetItem(known, own_reference(text_to_python(NameStr(attribute->attname))),
						   isnull ? Py_None : any_datum_to_python(value, attribute->atttypid)) != 0)
			throw_python_error();
		target = lnext(targets, target);
	}
	return known;
}

/* From PostgreSQL 18 on, the node itself says which tables of the plan are left after pruning. */
static List *
updated_columns(ModifyTableState *mtstate, int subplan)
{
#if PG_VERSION_NUM >= 180000
	return list_nth(mtstate->mt_updateColnosLists, subplan);
#else
	return list_nth(castNode(ModifyTable, mtstate->ps.plan)->updateColnosLists, subplan);
#endif
}

/*
 * What the statement does with rows of the table: command, columns, their known values, and the columns of the
 * answer that are used; owned.
 */
static PyObject *
planned_change(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *private, int subplan)
{
	Oid			relid = RelationGetRelid(rinfo->ri_RelationDesc);
	List	   *answered = list_copy(lsecond_node(List, private));
	PyObject   *known = own_reference(PyDict_New());
	const char *command = "DELETE";

	if (mtstate->operation == CMD_INSERT)
		command = "INSERT";
	else if (mtstate->operation == CMD_UPDATE)
	{
		command = "UPDATE";
		known = known_values(rinfo, mtstate->ps.state, updated_columns(mtstate, subplan),
							 outerPlanState(mtstate)->plan->targetlist);
	}
	if (row_answered(mtstate, rinfo, mtstate->operation))
		answered = lappend(answered, makeInteger(0));
	return own_reference(Py_BuildValue("(sOOO)", command,
									   column_names(relid, linitial_node(List, private)), known,
									   column_names(relid, answered)));
}

/* The operations that rows may ask for, and after ANALYZE what the node's requests have cost. */
static void
show_write(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *private, int subplan, ExplainState *es)
{
	Oid			relid = RelationGetRelid(rinfo->ri_RelationDesc);
	HostModify *modify = rinfo->ri_FdwState;
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *table = open_table(relid, modifying_user(mtstate, rinfo));
		PyObject   *change = planned_change(mtstate, rinfo, private, subplan);

		show_lines(bridge_call("describe_write", Py_BuildValue("(OO)", table, change)), es);
		if (es->analyze && modify != NULL && modify->holder->table != NULL)
			show_lines(bridge_call("write_statistics", Py_BuildValue("(OnO)", modify->holder->table,
																	 executor_run(modify->holder),
																	 modify->holder->cost)), es);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

void
ExplainForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *private, int subplan,
					 ExplainState *es)
{
	List	   *attnums = linitial_node(List, private);

	show_write(mtstate, rinfo, private, subplan, es);
	if (attnums != NIL && es->verbose)
		show_columns(rinfo->ri_RelationDesc, attnums, es);
}
