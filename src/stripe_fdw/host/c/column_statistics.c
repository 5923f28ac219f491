/*
 * column_statistics.c: how many rows share a value of a column, for the planner's estimates of joins and
 * groups, where ANALYZE has stored no statistics.
 *
 * Without it PostgreSQL takes 200 for the number of values of any column, and expects of a join by a unique
 * id thousands of rows.
 */
#include "host.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_statistic.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

static get_relation_stats_hook_type next_hook = NULL;

/* The plan of one of our tables, or NULL. */
static RelOptInfo *
planned_relation(PlannerInfo *root, RangeTblEntry *entry)
{
	int			i;

	if (entry->rtekind != RTE_RELATION || entry->relkind != RELKIND_FOREIGN_TABLE)
		return NULL;
	for (i = 1; i < root->simple_rel_array_size; i++)
	{
		RelOptInfo *rel = root->simple_rel_array[i];

		if (root->simple_rte_array[i] == entry && rel != NULL && rel->fdw_private != NULL &&
			rel->fdwroutine != NULL && rel->fdwroutine->GetForeignRelSize == GetForeignRelSize)
			return rel;
	}
	return NULL;
}

/* Rows for each value of columns, by attnum; 0 where it is not known. */
static double *
ask_rows_per_value(RelOptInfo *rel, RangeTblEntry *entry)
{
	double	   *rows = palloc0(sizeof(double) * (rel->max_attr + 1));
	/* Volatile, or compilers give it the register of an argument that they then say longjmp() may change. */
	volatile Oid user = planned_user(rel, entry);
	PythonEntry python;

	python_enter(&python);
	PG_TRY();
	{
		PyObject   *found = bridge_call("rows_per_value", Py_BuildValue("(O)", open_table(entry->relid, user)));
		Py_ssize_t	i;

		/* bridge.py has made (str, finite float) of them. */
		for (i = 0; i < PyList_GET_SIZE(found); i++)
		{
			PyObject   *item = PyList_GET_ITEM(found, i);
			AttrNumber	attnum = get_attnum(entry->relid, python_text(PyTuple_GET_ITEM(item, 0)));

			if (attnum > 0 && attnum <= rel->max_attr)
				rows[attnum] = PyFloat_AsDouble(PyTuple_GET_ITEM(item, 1));
		}
	}
	PG_FINALLY();
	{
		python_leave(&python);
	}
	PG_END_TRY();
	return rows;
}

/* A row of pg_statistic that says only that so many rows share a value. */
static HeapTuple
statistics_tuple(Oid relid, AttrNumber attnum, double rows)
{
	Relation	catalog = table_open(StatisticRelationId, AccessShareLock);
	Datum		values[Natts_pg_statistic] = {0};
	bool		nulls[Natts_pg_statistic] = {0};
	HeapTuple	tuple;
	int			i;

	values[Anum_pg_statistic_starelid - 1] = ObjectIdGetDatum(relid);
	values[Anum_pg_statistic_staattnum - 1] = Int16GetDatum(attnum);
	values[Anum_pg_statistic_stawidth - 1] = Int32GetDatum(get_attavgwidth(relid, attnum));
	/* Negative: a number of values in proportion to the rows of the table. */
	values[Anum_pg_statistic_stadistinct - 1] = Float4GetDatum((float4) (-1.0 / Max(rows, 1.0)));
	for (i = 0; i < STATISTIC_NUM_SLOTS; i++)
	{
		nulls[Anum_pg_statistic_stanumbers1 - 1 + i] = true;
		nulls[Anum_pg_statistic_stavalues1 - 1 + i] = true;
	}
	tuple = heap_form_tuple(RelationGetDescr(catalog), values, nulls);
	table_close(catalog, AccessShareLock);
	return tuple;
}

static bool
give_statistics(PlannerInfo *root, RangeTblEntry *entry, AttrNumber attnum, VariableStatData *variable)
{
	RelOptInfo *rel = planned_relation(root, entry);
	TablePlan  *plan;

	if (rel == NULL || attnum <= 0 || attnum > rel->max_attr)
		return next_hook != NULL && next_hook(root, entry, attnum, variable);
	plan = rel->fdw_private;
	if (plan->analyzed)
		return false;
	if (plan->rows_per_value == NULL)
		plan->rows_per_value = ask_rows_per_value(rel, entry);
	if (plan->rows_per_value[attnum] <= 0)
		return false;
	variable->statsTuple = statistics_tuple(entry->relid, attnum, plan->rows_per_value[attnum]);
	variable->freefunc = heap_freetuple;
	variable->acl_ok = true;	/* it has no values that could be seen */
	return true;
}

void
install_statistics_hook(void)
{
	next_hook = get_relation_stats_hook;
	get_relation_stats_hook = give_statistics;
}
