/*
 * analyze.c: ANALYZE reads the whole table by a scan as any other, and keeps a sample of its rows.
 *
 * That takes as many requests as "select *", so it is done when ANALYZE names the table, and not by autovacuum.
 */
#include "host.h"

#include "access/htup_details.h"
#include "access/toast_compression.h"
#include "access/toast_internals.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "utils/lsyscache.h"
#include "utils/sampling.h"

#define ROWS_OF_PAGE 100.0

/* ANALYZE looks into no value that is longer (WIDTH_THRESHOLD of analyze.c). */
#define LONGEST_VALUE 1024

#if PG_VERSION_NUM >= 170000
#define IsAutoVacuumWorkerProcess() AmAutoVacuumWorkerProcess()
#endif

typedef struct Sample
{
	Relation	relation;
	Holder	   *holder;
	List	   *columns;		/* Integer: attnums */
	ColumnReader *readers;		/* of each of them */
	Datum	   *values;			/* of one row, by attnum - 1 */
	bool	   *nulls;
	HeapTuple  *rows;
	int			size;			/* room for so many */
	int			count;
	double		seen;
	double		skip;			/* so many more rows are left out, once the sample is full */
	ReservoirStateData state;
	MemoryContext row_context;	/* of one row */
} Sample;

/* All columns but those that were dropped. */
static List *
all_columns(Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	List	   *columns = NIL;
	int			i;

	for (i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			columns = lappend(columns, makeInteger(i + 1));
	return columns;
}

/* A long value as a table would keep it, compressed: a sample of 30,000 whole objects is big. */
static Datum
compressed(ColumnReader *column, Datum value)
{
	Datum		smaller;

	if (get_typlen(column->type) != -1 || VARSIZE_ANY_EXHDR(DatumGetPointer(value)) <= LONGEST_VALUE)
		return value;
	smaller = toast_compress_datum(value, TOAST_PGLZ_COMPRESSION);
	return DatumGetPointer(smaller) ? smaller : value;
}

/* Where the next row goes, or -1.  Vitter's algorithm, as PostgreSQL uses it for its own tables. */
static int
place_of_next(Sample *sample)
{
	double		fraction;

	sample->seen++;
	if (sample->count < sample->size)
		return sample->count++;
	if (sample->skip < 0)
		sample->skip = reservoir_get_next_S(&sample->state, sample->seen - 1, sample->size);
	if (sample->skip-- >= 1)
		return -1;
	sample->skip = -1;
#if PG_VERSION_NUM >= 150000
	fraction = sampler_random_fract(&sample->state.randstate);
#else
	fraction = sampler_random_fract(sample->state.randstate);
#endif
	return Min((int) (fraction * sample->size), sample->size - 1);
}

static HeapTuple
make_row(Sample *sample, PyObject *row)
{
	int			width = list_length(sample->columns);
	MemoryContext old;
	HeapTuple	tuple;
	int			i;

	MemoryContextReset(sample->row_context);
	old = MemoryContextSwitchTo(sample->row_context);
	for (i = 0; i < width; i++)
	{
		ColumnReader *column = &sample->readers[i];
		int			target = column->attnum - 1;

		sample->values[target] = read_value(column, PyTuple_GET_ITEM(row, i), &sample->nulls[target]);
		if (!sample->nulls[target])
			sample->values[target] = compressed(column, sample->values[target]);
	}
	MemoryContextSwitchTo(old);
	tuple = heap_form_tuple(RelationGetDescr(sample->relation), sample->values, sample->nulls);
	return tuple;
}

/* Read a batch, and take from it what belongs into the sample; false at the end. */
static bool
sample_batch(Sample *sample)
{
	volatile bool more = false;
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *batch = bridge_call("next_batch", Py_BuildValue("(O)", sample->holder->scan));
		Py_ssize_t	i;

		for (i = 0; i < PyTuple_GET_SIZE(batch); i++)
		{
			PyObject   *row = PyTuple_GET_ITEM(batch, i);
			int			place;

			check_row(sample->relation, row, list_length(sample->columns));
			place = place_of_next(sample);
			if (place < 0)
				continue;
			if (sample->rows[place] != NULL)
				heap_freetuple(sample->rows[place]);
			sample->rows[place] = NULL;
			sample->rows[place] = make_row(sample, row);
		}
		more = PyTuple_GET_SIZE(batch) > 0;
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	return more;
}

/* As the table's owner, since ANALYZE has become that; the scan has no conditions. */
static void
open_whole_table(Sample *sample)
{
	Oid			relid = RelationGetRelid(sample->relation);
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *table = open_table(relid, sample->relation->rd_rel->relowner);

		hold(&sample->holder->table, table);
		begin_statement(sample->holder);
		hold(&sample->holder->scan,
			 bridge_call("open_scan", Py_BuildValue("(OOOOOiOn)", table, own_reference(PyList_New(0)),
													column_names(relid, sample->columns),
													own_reference(PyList_New(0)),
													Py_None, 0,
													column_names(relid, list_make1(makeInteger(0))),
													executor_run(sample->holder))));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

static void
close_whole_table(Sample *sample)
{
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		close_scan(sample->holder);
		end_statement(sample->holder);
		hold(&sample->holder->table, NULL);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

static int
acquire_rows(Relation relation, int level, HeapTuple *rows, int size, double *total, double *dead)
{
	int			natts = RelationGetDescr(relation)->natts;
	Sample		sample = {.relation = relation,.rows = rows,.size = size,.skip = -1};
	ListCell   *cell;
	int			i = 0;

	sample.holder = make_holder(CurrentMemoryContext);
	sample.columns = all_columns(relation);
	sample.readers = palloc0(sizeof(ColumnReader) * Max(list_length(sample.columns), 1));
	foreach(cell, sample.columns)
		prepare_reader(&sample.readers[i++], relation, (AttrNumber) intVal(lfirst(cell)));
	sample.values = palloc0(sizeof(Datum) * Max(natts, 1));
	sample.nulls = palloc(sizeof(bool) * Max(natts, 1));
	memset(sample.nulls, true, sizeof(bool) * natts);
	sample.row_context = AllocSetContextCreate(CurrentMemoryContext, "stripe_fdw sample",
											   ALLOCSET_DEFAULT_SIZES);
	memset(rows, 0, sizeof(HeapTuple) * size);
	reservoir_init_selection_state(&sample.state, size);

	open_whole_table(&sample);
	do
	{
		CHECK_FOR_INTERRUPTS();
	} while (sample_batch(&sample));
	close_whole_table(&sample);
	MemoryContextDelete(sample.row_context);

	*total = sample.seen;
	*dead = 0;
	ereport(level,
			(errmsg("\"%s\": %.0f rows were read, %d of them are the sample",
					client_text(RelationGetRelationName(relation)),
					sample.seen, sample.count)));
	return sample.count;
}

/* How many pages of 100 objects there are, roughly: by them PostgreSQL shares a sample among partitions. */
static BlockNumber
pages_of(Relation relation)
{
	Oid			relid = RelationGetRelid(relation);
	volatile double rows = 0;
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *table = open_table(relid, relation->rd_rel->relowner);
		PyObject   *size = bridge_call("rel_size", Py_BuildValue("(OOO)", table, own_reference(PyList_New(0)),
																 own_reference(PyList_New(0))));

		rows = PyFloat_AsDouble(PyTuple_GetItem(size, 0));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	return (BlockNumber) Min(Max(rows / ROWS_OF_PAGE, 1), (double) MaxBlockNumber);
}

bool
AnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *acquire, BlockNumber *pages)
{
	if (IsAutoVacuumWorkerProcess())
		return false;
	*pages = pages_of(relation);
	*acquire = acquire_rows;
	return true;
}
