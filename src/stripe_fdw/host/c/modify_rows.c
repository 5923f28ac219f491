/*
 * modify_rows.c: rows between PostgreSQL and Python in INSERT, UPDATE and DELETE.
 *
 * Only columns that the statement names are sent (and those that a default or a trigger filled), so the table
 * can tell "not mentioned" from NULL.  What Stripe answers fills the row that RETURNING and triggers see.
 */
#include "host.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "utils/datum.h"

/* Return true if a BEFORE trigger has changed a column that an UPDATE does not name. */
static bool
trigger_changed(ResultRelInfo *rinfo, TupleTableSlot *slot, int i)
{
	TupleTableSlot *old = rinfo->ri_oldTupleSlot;
	Form_pg_attribute attribute = TupleDescAttr(slot->tts_tupleDescriptor, i);

	if (rinfo->ri_TrigDesc == NULL || !rinfo->ri_TrigDesc->trig_update_before_row)
		return false;
	slot_getallattrs(old);
	if (old->tts_isnull[i] || slot->tts_isnull[i])
		return old->tts_isnull[i] != slot->tts_isnull[i];
	return !datum_image_eq(old->tts_values[i], slot->tts_values[i], attribute->attbyval, attribute->attlen);
}

/* A column that was dropped, or is computed when it is read. */
static bool
has_no_value(Form_pg_attribute attribute)
{
#if PG_VERSION_NUM >= 180000
	if (attribute->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
		return true;
#endif
	return attribute->attisdropped;
}

/* The values to send as a dict; owned. */
PyObject *
values_to_send(HostModify *modify, ResultRelInfo *rinfo, TupleTableSlot *slot, bool inserting)
{
	TupleDesc	desc = modify->desc;
	PyObject   *values = own_reference(PyDict_New());
	int			i;

	slot_getallattrs(slot);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		PyObject   *value = Py_None;

		if (has_no_value(attribute))
			continue;
		if (!bms_is_member(i + 1, modify->named) &&
			!(inserting ? !slot->tts_isnull[i] : trigger_changed(rinfo, slot, i)))
			continue;
		if (!slot->tts_isnull[i])
			value = any_datum_to_python(slot->tts_values[i], attribute->atttypid);
		if (PyDict_SetItem(values, own_reference(text_to_python(NameStr(attribute->attname))), value) != 0)
			throw_python_error();
	}
	return values;
}

/* Store Stripe's answer, a dict, in the row; columns that it lacks stay as they are. */
void
store_answer(HostModify *modify, TupleTableSlot *slot, PyObject *answer)
{
	TupleDesc	desc = modify->desc;
	MemoryContext old;
	HeapTuple	tuple;
	int			i;

	if (answer == Py_None)
		return;
	/*
	 * In this order: what a slot of a tuple has given before may lie in memory that goes with the old tuple.
	 */
	ExecMaterializeSlot(slot);
	slot_getallattrs(slot);
	for (i = 0; i < desc->natts; i++)
	{
		PyObject   *name;
		PyObject   *value;

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		name = own_reference(text_to_python(NameStr(TupleDescAttr(desc, i)->attname)));
		value = PyDict_GetItemWithError(answer, name);
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

/* The identity columns of a row as it was before the statement: a dict; owned. */
PyObject *
old_row(HostModify *modify, TupleTableSlot *plan_slot)
{
	PyObject   *row = own_reference(PyDict_New());
	bool		known = false;
	ListCell   *cell;

	foreach(cell, modify->identity)
	{
		Form_pg_attribute attribute = TupleDescAttr(modify->desc, intVal(lfirst(cell)) - 1);
		bool		isnull;
		Datum		datum = ExecGetJunkAttribute(plan_slot,
												 modify->junk[foreach_current_index(cell)], &isnull);
		PyObject   *value = isnull ? Py_None : any_datum_to_python(datum, attribute->atttypid);

		known = known || !isnull;
		if (PyDict_SetItem(row, own_reference(text_to_python(NameStr(attribute->attname))), value) != 0)
			throw_python_error();
	}
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a row without an id cannot be changed")));
	return row;
}

/* For RETURNING: the row as the scan gave it. */
void
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
