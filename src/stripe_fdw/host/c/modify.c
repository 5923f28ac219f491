/*
 * modify.c: INSERT, UPDATE and DELETE, one call of the wrapper for each row, or for each batch if it can.
 *
 * Only columns that the statement names are sent (and those that a default or a trigger filled), so the wrapper can
 * tell "not mentioned" from NULL.  What Stripe answers fills the row that RETURNING and triggers see.
 */
#include "host.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"

typedef struct HostModify
{
	Holder	   *holder;
	TupleDesc	desc;			/* the table's: slots may have one without names */
	Bitmapset  *named;			/* columns that the statement names, as attnums */
	ColumnReader *readers;		/* of all columns, by attnum - 1 */
	bool		triggers;		/* BEFORE triggers may have filled any column */
	AttrNumber	rowid;			/* the junk attribute with the row's id */
	Oid			rowid_type;
	AttrNumber	whole_row;		/* the junk attribute with the row as it was, if it is there */
	int			batch_size;
	MemoryContext row_context;
} HostModify;

static void
find_rowid(HostModify *modify, ModifyTableState *mtstate, ResultRelInfo *rinfo, Oid user)
{
	AttrNumber	attnum = rowid_attnum(rinfo->ri_RelationDesc, user);
	List	   *junk = outerPlanState(mtstate)->plan->targetlist;

	modify->rowid_type = TupleDescAttr(RelationGetDescr(rinfo->ri_RelationDesc), attnum - 1)->atttypid;
	modify->rowid = ExecFindJunkAttributeInTlist(junk, ROWID);
	modify->whole_row = ExecFindJunkAttributeInTlist(junk, WHOLE_ROW);
	if (!AttributeNumberIsValid(modify->rowid))
		elog(ERROR, "stripe_fdw finds no row id in the plan");
}

static Oid
modifying_user(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	Oid			user = InvalidOid;

	/* A partition that rows are routed to is not in the query: its parent is. */
	if (rinfo->ri_RangeTableIndex == 0 && rinfo->ri_RootResultRelInfo != NULL)
		rinfo = rinfo->ri_RootResultRelInfo;
	if (rinfo->ri_RangeTableIndex != 0)
	{
#if PG_VERSION_NUM >= 160000
		user = ExecGetResultRelCheckAsUser(rinfo, mtstate->ps.state);
#else
		user = exec_rt_fetch(rinfo->ri_RangeTableIndex, mtstate->ps.state)->checkAsUser;
#endif
	}
	return OidIsValid(user) ? user : GetUserId();
}

static HostModify *
begin(ModifyTableState *mtstate, ResultRelInfo *rinfo, Oid user)
{
	Relation	relation = rinfo->ri_RelationDesc;
	TupleDesc	desc = RelationGetDescr(relation);
	HostModify *modify = palloc0(sizeof(HostModify));
	TriggerDesc *triggers = rinfo->ri_TrigDesc;
	PythonEntry entry;
	int			i;

	modify->desc = desc;
	modify->holder = make_holder(mtstate->ps.state->es_query_cxt);
	modify->row_context = AllocSetContextCreate(CurrentMemoryContext, "stripe_fdw row", ALLOCSET_DEFAULT_SIZES);
	modify->triggers = triggers && (triggers->trig_insert_before_row || triggers->trig_update_before_row);
	modify->readers = palloc0(sizeof(ColumnReader) * Max(desc->natts, 1));
	for (i = 1; i <= desc->natts; i++)
		if (!TupleDescAttr(desc, i - 1)->attisdropped)
			prepare_reader(&modify->readers[i - 1], relation, i);
	python_enter(&entry);
	PG_TRY();
	{
		hold(&modify->holder->wrapper, table_wrapper(RelationGetRelid(relation), user));
		begin_statement(modify->holder);
		note_writing();
		bridge_call("begin_modify", Py_BuildValue("(Oi)", modify->holder->wrapper,
												  GetCurrentTransactionNestLevel()));
		modify->batch_size = (int) PyLong_AsLong(bridge_call("batch_size",
															 Py_BuildValue("(O)", modify->holder->wrapper)));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	rinfo->ri_FdwState = modify;
	return modify;
}

void
BeginForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *private, int subplan, int flags)
{
	HostModify *modify;
	Oid			user;
	ListCell   *cell;

	(void) subplan;
	if (flags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	user = modifying_user(mtstate, rinfo);
	modify = begin(mtstate, rinfo, user);
	foreach(cell, linitial_node(List, private))
		modify->named = bms_add_member(modify->named, (int) intVal(lfirst(cell)));
	if (mtstate->operation != CMD_INSERT)
		find_rowid(modify, mtstate, rinfo, user);
}

/* COPY FROM, and rows routed to a partition: no column is named, so those with a value are sent. */
void
BeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	if (mtstate->operation == CMD_UPDATE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a row cannot be moved into foreign table \"%s\"",
						RelationGetRelationName(rinfo->ri_RelationDesc))));
	begin(mtstate, rinfo, modifying_user(mtstate, rinfo));
}

/* Work in memory for one row, or one batch of them. */
static MemoryContext
begin_row(HostModify *modify)
{
	MemoryContextReset(modify->row_context);
	return MemoryContextSwitchTo(modify->row_context);
}

/* The values to send as a dict; owned. */
static PyObject *
values_to_send(HostModify *modify, TupleTableSlot *slot, bool inserting)
{
	TupleDesc	desc = modify->desc;
	PyObject   *values = own(PyDict_New());
	int			i;

	slot_getallattrs(slot);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		bool		filled = !slot->tts_isnull[i] && (inserting || modify->triggers);
		PyObject   *value = Py_None;

		if (attribute->attisdropped || !(filled || bms_is_member(i + 1, modify->named)))
			continue;
		if (!slot->tts_isnull[i])
			value = any_datum_to_python(slot->tts_values[i], attribute->atttypid);
		if (PyDict_SetItem(values, own(text_to_python(NameStr(attribute->attname))), value) != 0)
			throw_python_error();
	}
	return values;
}

/* Put what Stripe answered, a dict, into the row; columns it does not have stay as they are. */
static void
store_answer(HostModify *modify, TupleTableSlot *slot, PyObject *answer)
{
	TupleDesc	desc = modify->desc;
	MemoryContext old;
	HeapTuple	tuple;
	int			i;

	if (answer == Py_None)
		return;
	slot_getallattrs(slot);
	ExecMaterializeSlot(slot);
	for (i = 0; i < desc->natts; i++)
	{
		PyObject   *value;

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		value = PyDict_GetItemWithError(answer, own(text_to_python(NameStr(TupleDescAttr(desc, i)->attname))));
		if (value == NULL && PyErr_Occurred())
			throw_python_error();
		if (value != NULL)
			slot->tts_values[i] = read_value(&modify->readers[i], value, &slot->tts_isnull[i]);
	}
	/* The values lie in memory for this row: as a tuple of its own they are the slot's. */
	old = MemoryContextSwitchTo(slot->tts_mcxt);
	tuple = heap_form_tuple(desc, slot->tts_values, slot->tts_isnull);
	ExecForceStoreHeapTuple(tuple, slot, true);
	MemoryContextSwitchTo(old);
}

/* The row's id as it was before the statement; owned. */
static PyObject *
row_id(HostModify *modify, TupleTableSlot *plan_slot)
{
	bool		isnull;
	Datum		value = ExecGetJunkAttribute(plan_slot, modify->rowid, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a row without an id cannot be changed")));
	return any_datum_to_python(value, modify->rowid_type);
}

TupleTableSlot **
ExecForeignBatchInsert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot **slots, TupleTableSlot **plan_slots,
					   int *count)
{
	HostModify *modify = rinfo->ri_FdwState;
	PythonEntry entry;
	MemoryContext old;

	(void) estate;
	(void) plan_slots;
	old = begin_row(modify);
	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *rows = own(PyList_New(0));
		PyObject   *answers;
		int			i;

		for (i = 0; i < *count; i++)
			if (PyList_Append(rows, values_to_send(modify, slots[i], true)) != 0)
				throw_python_error();
		answers = bridge_call("insert", Py_BuildValue("(OO)", modify->holder->wrapper, rows));
		for (i = 0; i < *count; i++)
			store_answer(modify, slots[i], PyList_GET_ITEM(answers, i));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return slots;
}

TupleTableSlot *
ExecForeignInsert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	int			one = 1;

	return ExecForeignBatchInsert(estate, rinfo, &slot, &plan_slot, &one)[0];
}

TupleTableSlot *
ExecForeignUpdate(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	HostModify *modify = rinfo->ri_FdwState;
	PythonEntry entry;
	MemoryContext old;

	(void) estate;
	old = begin_row(modify);
	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *id = row_id(modify, plan_slot);

		store_answer(modify, slot, bridge_call("update", Py_BuildValue("(OOO)", modify->holder->wrapper, id,
																	   values_to_send(modify, slot, false))));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return slot;
}

/* For RETURNING: the row as the scan gave it. */
static void
store_old_row(HostModify *modify, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	bool		isnull = true;
	Datum		row = (Datum) 0;
	HeapTupleData tuple;
	MemoryContext old;

	if (AttributeNumberIsValid(modify->whole_row))
		row = ExecGetJunkAttribute(plan_slot, modify->whole_row, &isnull);
	if (isnull)
	{
		ExecStoreAllNullTuple(slot);
		return;
	}
	tuple.t_data = DatumGetHeapTupleHeader(row);
	tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	old = MemoryContextSwitchTo(slot->tts_mcxt);
	ExecForceStoreHeapTuple(heap_copytuple(&tuple), slot, true);
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
ExecForeignDelete(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	HostModify *modify = rinfo->ri_FdwState;
	PythonEntry entry;
	MemoryContext old;

	(void) estate;
	old = begin_row(modify);
	python_enter(&entry);
	PG_TRY();
	{
		bridge_call("delete", Py_BuildValue("(OO)", modify->holder->wrapper, row_id(modify, plan_slot)));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	store_old_row(modify, slot, plan_slot);
	return slot;
}

/* The executor has no RETURNING for batches, so then it is one row at a time. */
int
GetForeignModifyBatchSize(ResultRelInfo *rinfo)
{
	HostModify *modify = rinfo->ri_FdwState;
	TriggerDesc *triggers = rinfo->ri_TrigDesc;

	if (modify == NULL || rinfo->ri_projectReturning != NULL || rinfo->ri_WithCheckOptions != NIL ||
		(triggers && (triggers->trig_insert_before_row || triggers->trig_insert_after_row)))
		return 1;
	return modify->batch_size;
}

void
EndForeignModify(EState *estate, ResultRelInfo *rinfo)
{
	HostModify *modify = rinfo->ri_FdwState;
	PythonEntry entry;

	(void) estate;
	if (modify == NULL || modify->holder->wrapper == NULL)
		return;
	python_enter(&entry);
	PG_TRY();
	{
		end_statement(modify->holder);
		hold(&modify->holder->wrapper, NULL);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}
