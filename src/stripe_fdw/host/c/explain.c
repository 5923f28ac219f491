/*
 * explain.c: the table's lines in EXPLAIN, and a scan's statistics in EXPLAIN ANALYZE.
 */
#include "host.h"

#include <ctype.h>

#include "lib/stringinfo.h"
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
static void
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
		PyObject   *quals = scan_quals(node);

		show_lines(bridge_call("describe", Py_BuildValue("(OOOOiO)", holder->table, quals,
														 sort_to_python(scan->relid, scan->sort),
														 scan_limit(node), (int) es->verbose,
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
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, attnums)
		appendStringInfo(&names, "%s%s", names.len ? ", " : "",
						 get_attname(RelationGetRelid(relation), (AttrNumber) intVal(lfirst(cell)), false));
	ExplainPropertyText("Stripe columns", names.data, es);
}

static const char *
command_name(CmdType operation)
{
	switch (operation)
	{
		case CMD_INSERT:
			return "INSERT";
		case CMD_UPDATE:
			return "UPDATE";
		default:
			return "DELETE";
	}
}

/* The operations that a row's values may ask for. */
static void
show_operations(Oid relid, Oid user, const char *command, List *attnums, ExplainState *es)
{
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		show_lines(bridge_call("describe_write", Py_BuildValue("(OsO)", open_table(relid, user), command,
															   column_names(relid, attnums))), es);
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
	Relation	relation = rinfo->ri_RelationDesc;
	List	   *attnums = private ? linitial_node(List, private) : NIL;

	(void) subplan;
	show_operations(RelationGetRelid(relation), modifying_user(mtstate, rinfo),
					command_name(mtstate->operation),
					attnums, es);
	if (attnums != NIL && es->verbose)
		show_columns(relation, attnums, es);
}
