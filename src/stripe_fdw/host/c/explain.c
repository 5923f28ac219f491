/*
 * explain.c: the wrapper's lines in EXPLAIN, and what a scan has done in EXPLAIN ANALYZE.
 */
#include "host.h"

#include "lib/stringinfo.h"
#include "utils/lsyscache.h"

/*
 * A list of (label, text), checked by bridge.py, as lines of the plan.  JSON, XML and YAML have a label once in a node:
 * there, the requests are a list, also where there is only one.
 */
static void
show_lines(PyObject *lines, ExplainState *es)
{
	List	   *requests = NIL;
	Py_ssize_t	i;

	for (i = 0; i < PyList_GET_SIZE(lines); i++)
	{
		PyObject   *line = PyList_GET_ITEM(lines, i);
		char	   *label = python_text(PyTuple_GET_ITEM(line, 0));
		char	   *text = python_text(PyTuple_GET_ITEM(line, 1));

		if (es->format != EXPLAIN_FORMAT_TEXT && strcmp(label, "Stripe Request") == 0)
			requests = lappend(requests, text);
		else
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

		show_lines(bridge_call("describe", Py_BuildValue("(OOOOOi)", holder->wrapper, quals,
														 column_names(scan->relid, scan->columns),
														 sort_to_python(scan->relid, scan->sort),
														 scan_limit(node), (int) es->verbose)), es);
		if (es->analyze)
			show_lines(scan_statistics(holder), es);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

/* UPDATE and INSERT: which columns are sent. */
void
ExplainForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *private, int subplan,
					 ExplainState *es)
{
	Relation	relation = rinfo->ri_RelationDesc;
	List	   *attnums = private ? linitial_node(List, private) : NIL;
	StringInfoData names;
	ListCell   *cell;

	(void) mtstate;
	(void) subplan;
	if (attnums == NIL || !es->verbose)
		return;
	initStringInfo(&names);
	foreach(cell, attnums)
		appendStringInfo(&names, "%s%s", names.len ? ", " : "",
						 get_attname(RelationGetRelid(relation), (AttrNumber) intVal(lfirst(cell)), false));
	ExplainPropertyText("Stripe columns", names.data, es);
}
