/*
 * scan.c: run a scan: open it, fetch batches of rows, hand them out one by one.
 */
#include "host.h"

#include "access/table.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

/* Rows are converted this many at a time, or less when they are big. */
#define ROWS_AT_ONCE 200
#define BYTES_AT_ONCE (1024 * 1024)

static void
prepare_readers(HostScan *scan, Relation relation)
{
	ListCell   *cell;
	int			i = 0;

	scan->width = list_length(scan->columns);
	scan->readers = palloc0(sizeof(ColumnReader) * Max(scan->width, 1));
	foreach(cell, scan->columns)
		prepare_reader(&scan->readers[i++], relation, (AttrNumber) intVal(lfirst(cell)));
	scan->datums = palloc(sizeof(Datum) * Max(scan->width, 1) * ROWS_AT_ONCE);
	scan->nulls = palloc(sizeof(bool) * Max(scan->width, 1) * ROWS_AT_ONCE);
	scan->rows_context = AllocSetContextCreate(CurrentMemoryContext, "stripe_fdw rows",
											   ALLOCSET_DEFAULT_SIZES);
}

/* What a plan says of its scan.  Its values are left to be set. */
void
read_plan(HostScan *scan, ForeignScan *plan, EState *estate)
{
	List	   *limits = list_nth(plan->fdw_private, PLAN_LIMIT);

	scan->relid = exec_rt_fetch(plan->scan.scanrelid, estate)->relid;
	scan->columns = list_nth(plan->fdw_private, PLAN_COLUMNS);
	scan->quals = list_nth(plan->fdw_private, PLAN_QUALS);
	scan->sort = list_nth(plan->fdw_private, PLAN_SORT);
	scan->limit_index = (int) intVal(linitial(limits));
	scan->offset_index = (int) intVal(lsecond(limits));
	scan->fresh = (int) intVal(list_nth(plan->fdw_private, PLAN_FRESH));
	scan->named = list_nth(plan->fdw_private, PLAN_NAMED);
	scan->of_subqueries = list_nth(plan->fdw_private, PLAN_SUBQUERIES);
	scan->computed = palloc0(sizeof(ScanValue) * Max(list_length(plan->fdw_exprs), 1));
	scan->holder = make_holder(estate->es_query_cxt);
}

void
BeginForeignScan(ForeignScanState *node, int flags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	HostScan   *scan = palloc0(sizeof(HostScan));
	PythonEntry entry;

	read_plan(scan, plan, estate);
	scan->values = ExecInitExprList(plan->fdw_exprs, (PlanState *) node);
	node->fdw_state = scan;

	python_enter(&entry);
	PG_TRY();
	{
		hold(&scan->holder->table, open_table(scan->relid, scan_user(estate, plan)));
		if (!(flags & EXEC_FLAG_EXPLAIN_ONLY))
		{
			prepare_readers(scan, node->ss.ss_currentRelation);
			begin_statement(scan->holder);
		}
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

static void
open_scan(ForeignScanState *node)
{
	HostScan   *scan = node->fdw_state;
	PyObject   *quals = scan_quals(scan);
	PyObject   *opened = bridge_call("open_scan",
									 Py_BuildValue("(OOOOOiOn)", scan->holder->table, quals,
												   column_names(scan->relid, scan->columns),
												   sort_to_python(scan->relid, scan->sort),
												   scan_limit(scan), scan->fresh,
												   column_names(scan->relid, scan->named),
												   executor_run(scan->holder)));

	hold(&scan->holder->scan, opened);
	scan->open = true;
	scan->finished = false;
	scan->batch_next = 0;
}

/* A row must be a tuple with a value for each column that was asked for. */
void
check_row(Relation relation, PyObject *row, int width)
{
	if (!PyTuple_Check(row))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("a row of foreign table \"%s\" is a Python %s, not a tuple",
						client_text(RelationGetRelationName(relation)), Py_TYPE(row)->tp_name)));
	if (PyTuple_GET_SIZE(row) != width)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INCONSISTENT_DESCRIPTOR_INFORMATION),
				 errmsg("a row of foreign table \"%s\" has %zd values, but %d columns were asked for",
						client_text(RelationGetRelationName(relation)), PyTuple_GET_SIZE(row), width)));
}

/*
 * Whether two rows have the same JSON, which is then parsed once: objects of one kind have many fields in
 * common, as empty as they are long.  Only JSON comes as bytes.
 */
static bool
same_json(PyObject *before, PyObject *value)
{
	return PyBytes_Check(value) && PyBytes_Check(before) &&
		PyBytes_GET_SIZE(before) == PyBytes_GET_SIZE(value) &&
		memcmp(PyBytes_AS_STRING(before), PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)) == 0;
}

/* Convert the next rows of the batch; the scan's own memory is the current one. */
static void
convert_rows(ForeignScanState *node)
{
	HostScan   *scan = node->fdw_state;
	PyObject   *batch = scan->holder->batch;
	PyObject   *before = NULL;	/* the row before, of the same batch, if any was converted */

	while (scan->rows < ROWS_AT_ONCE && scan->batch_next < PyTuple_GET_SIZE(batch) &&
		   (scan->rows == 0 || MemoryContextMemAllocated(scan->rows_context, false) < BYTES_AT_ONCE))
	{
		PyObject   *row = PyTuple_GET_ITEM(batch, scan->batch_next);
		Datum	   *datums = scan->datums + (Size) scan->rows * scan->width;
		bool	   *nulls = scan->nulls + (Size) scan->rows * scan->width;
		int			i;

		check_row(node->ss.ss_currentRelation, row, scan->width);
		for (i = 0; i < scan->width; i++)
		{
			PyObject   *value = PyTuple_GET_ITEM(row, i);

			if (scan->rows > 0 && same_json(PyTuple_GET_ITEM(before, i), value))
			{
				datums[i] = datums[i - scan->width];
				nulls[i] = false;
			}
			else
				datums[i] = read_value(&scan->readers[i], value, &nulls[i]);
		}
		before = row;
		scan->batch_next++;
		scan->rows++;
	}
}

/* Get rows to hand out; none are left when scan->rows stays 0. */
static void
fetch_rows(ForeignScanState *node)
{
	HostScan   *scan = node->fdw_state;
	MemoryContext old;
	PythonEntry entry;

	MemoryContextReset(scan->rows_context);
	scan->rows = 0;
	scan->row_next = 0;
	if (!scan->open)
		compute_values(node, false);
	/* A nested loop opens thousands of scans in one query: what that takes must not stay until its end. */
	old = MemoryContextSwitchTo(scan->rows_context);
	python_enter(&entry);
	PG_TRY();
	{
		if (!scan->open)
			open_scan(node);
		while (!scan->finished && scan->rows == 0)
		{
			if (scan->holder->batch == NULL || scan->batch_next >= PyTuple_GET_SIZE(scan->holder->batch))
			{
				/* The old batch goes before the next comes: memory holds one at a time. */
				hold(&scan->holder->batch, NULL);
				hold(&scan->holder->batch,
					 bridge_call("next_batch", Py_BuildValue("(O)", scan->holder->scan)));
				scan->batch_next = 0;
				scan->finished = PyTuple_GET_SIZE(scan->holder->batch) == 0;
			}
			convert_rows(node);
		}
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
IterateForeignScan(ForeignScanState *node)
{
	HostScan   *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	Size		first;
	int			i;

	ExecClearTuple(slot);
	CHECK_FOR_INTERRUPTS();
	if (scan->row_next >= scan->rows && !scan->finished)
		fetch_rows(node);
	if (scan->row_next >= scan->rows)
		return slot;

	first = (Size) scan->row_next++ * scan->width;
	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	for (i = 0; i < scan->width; i++)
	{
		int			target = scan->readers[i].attnum - 1;

		slot->tts_values[target] = scan->datums[first + i];
		slot->tts_isnull[target] = scan->nulls[first + i];
	}
	return ExecStoreVirtualTuple(slot);
}

/* Back to the start: a join's next value, or a cursor moved back.  The values are computed anew. */
void
ReScanForeignScan(ForeignScanState *node)
{
	HostScan   *scan = node->fdw_state;
	PythonEntry entry;

	if (!scan->open)
		return;
	scan->open = false;
	scan->finished = false;
	scan->rows = 0;
	scan->row_next = 0;
	python_enter(&entry);
	PG_TRY();
	{
		if (node->ss.ps.instrument != NULL)
			hold(&scan->holder->statistics, scan_statistics(scan->holder));
		close_scan(scan->holder);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

void
EndForeignScan(ForeignScanState *node)
{
	HostScan   *scan = node->fdw_state;
	PythonEntry entry;

	if (scan == NULL || scan->holder == NULL || scan->holder->table == NULL)
		return;
	python_enter(&entry);
	PG_TRY();
	{
		close_scan(scan->holder);
		end_statement(scan->holder);
		hold(&scan->holder->statistics, NULL);
		hold(&scan->holder->table, NULL);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}
