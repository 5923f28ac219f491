/*
 * modify.c: INSERT, UPDATE and DELETE, one call of the wrapper for each row.
 *
 * Only columns that the statement names are sent (and those that a default or a trigger filled), so the wrapper can
 * tell "not mentioned" from NULL.  What Stripe answers fills the row that RETURNING and triggers see.  When nobody
 * looks at the answer the wrapper is told, and may go on before it has come; the statement waits in the end.
 */
#include "host.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"

typedef struct HostModify
{
	Holder	   *holder;
	ModifyTableState *mtstate;
	TupleDesc	desc;			/* the table's: slots may have one without names */
	Bitmapset  *named;			/* columns that the statement names, as attnums */
	ColumnReader *readers;		/* of all columns, by attnum - 1 */
	List	   *identity;		/* Integer attnums of the columns that the wrapper sees of the row as it was */
	AttrNumber *junk;			/* the junk attribute of each */
	AttrNumber	whole_row;		/* the junk attribute with the row as it was, if it is there */
	MemoryContext row_context;
} HostModify;

static void
find_identity(HostModify *modify, ResultRelInfo *rinfo, Oid user)
{
	List	   *junk = outerPlanState(modify->mtstate)->plan->targetlist;
	ListCell   *cell;

	modify->identity = identity_attnums(rinfo->ri_RelationDesc, user);
	modify->junk = palloc(sizeof(AttrNumber) * list_length(modify->identity));
	modify->whole_row = ExecFindJunkAttributeInTlist(junk, WHOLE_ROW);
	foreach(cell, modify->identity)
	{
		AttrNumber	attnum = ExecFindJunkAttributeInTlist(junk, identity_name(
			TupleDescAttr(modify->desc, intVal(lfirst(cell)) - 1)));

		if (!AttributeNumberIsValid(attnum))
			elog(ERROR, "stripe_fdw finds no row identity in the plan");
		modify->junk[foreach_current_index(cell)] = attnum;
	}
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
	PythonEntry entry;
	int			i;

	modify->mtstate = mtstate;
	modify->desc = desc;
	modify->holder = make_holder(mtstate->ps.state->es_query_cxt);
	modify->row_context = AllocSetContextCreate(CurrentMemoryContext, "stripe_fdw row", ALLOCSET_DEFAULT_SIZES);
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
		find_identity(modify, rinfo, user);
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
	if (mtstate->ps.plan != NULL && castNode(ModifyTable, mtstate->ps.plan)->onConflictAction != ONCONFLICT_NONE)
		refuse_on_conflict();
	begin(mtstate, rinfo, modifying_user(mtstate, rinfo));
}

/* Work in memory for one row. */
static MemoryContext
begin_row(HostModify *modify)
{
	MemoryContextReset(modify->row_context);
	return MemoryContextSwitchTo(modify->row_context);
}

/*
 * Whether anybody sees what Stripe answers.  AFTER triggers of statements do not, but they expect that all is done.
 * Transition tables can only be those of a parent.
 */
static bool
triggers_wait(TriggerDesc *triggers, CmdType operation)
{
	if (triggers == NULL)
		return false;
	if (operation == CMD_INSERT)
		return triggers->trig_insert_after_row || triggers->trig_insert_after_statement;
	if (operation == CMD_UPDATE)
		return triggers->trig_update_after_row || triggers->trig_update_after_statement;
	return triggers->trig_delete_after_row || triggers->trig_delete_after_statement;
}

static bool
answered(HostModify *modify, ResultRelInfo *rinfo)
{
	ModifyTableState *mtstate = modify->mtstate;
	ResultRelInfo *root = mtstate->rootResultRelInfo;

	return rinfo->ri_projectReturning != NULL || rinfo->ri_WithCheckOptions != NIL ||
		mtstate->mt_transition_capture != NULL ||
		triggers_wait(rinfo->ri_TrigDesc, mtstate->operation) ||
		(root != NULL && root != rinfo && triggers_wait(root->ri_TrigDesc, mtstate->operation));
}

/* Whether a BEFORE trigger has changed a column that an UPDATE does not name. */
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

/* A column that Stripe fills, or that is computed when it is read. */
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
static PyObject *
values_to_send(HostModify *modify, ResultRelInfo *rinfo, TupleTableSlot *slot, bool inserting)
{
	TupleDesc	desc = modify->desc;
	PyObject   *values = own(PyDict_New());
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

/* What identifies a row, as it was before the statement: a dict; owned. */
static PyObject *
old_row(HostModify *modify, TupleTableSlot *plan_slot)
{
	PyObject   *row = own(PyDict_New());
	bool		known = false;
	ListCell   *cell;

	foreach(cell, modify->identity)
	{
		Form_pg_attribute attribute = TupleDescAttr(modify->desc, intVal(lfirst(cell)) - 1);
		bool		isnull;
		Datum		datum = ExecGetJunkAttribute(plan_slot, modify->junk[foreach_current_index(cell)], &isnull);
		PyObject   *value = isnull ? Py_None : any_datum_to_python(datum, attribute->atttypid);

		known = known || !isnull;
		if (PyDict_SetItem(row, own(text_to_python(NameStr(attribute->attname))), value) != 0)
			throw_python_error();
	}
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a row without an id cannot be changed")));
	return row;
}

TupleTableSlot *
ExecForeignInsert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	HostModify *modify = rinfo->ri_FdwState;
	bool		seen = answered(modify, rinfo);
	PythonEntry entry;
	MemoryContext old;

	(void) estate;
	(void) plan_slot;
	old = begin_row(modify);
	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *values = values_to_send(modify, rinfo, slot, true);
		PyObject   *answer = bridge_call("insert", Py_BuildValue("(OnOi)", modify->holder->wrapper,
																 executor_run(modify->holder), values, (int) seen));

		if (seen)
			store_answer(modify, slot, answer);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return slot;
}

TupleTableSlot *
ExecForeignUpdate(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	HostModify *modify = rinfo->ri_FdwState;
	bool		seen = answered(modify, rinfo);
	volatile bool again = false;
	PythonEntry entry;
	MemoryContext old;

	(void) estate;
	old = begin_row(modify);
	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *before = old_row(modify, plan_slot);
		PyObject   *values = values_to_send(modify, rinfo, slot, false);
		PyObject   *answer = bridge_call("update", Py_BuildValue("(OnOOi)", modify->holder->wrapper,
																 executor_run(modify->holder), before, values,
																 (int) seen));

		again = answer == Py_False;
		if (seen && !again)
			store_answer(modify, slot, answer);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (again)
		return NULL;
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
	volatile bool again = false;
	PythonEntry entry;
	MemoryContext old;

	(void) estate;
	old = begin_row(modify);
	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *before = old_row(modify, plan_slot);
		PyObject   *answer = bridge_call("delete", Py_BuildValue("(OnOi)", modify->holder->wrapper,
																 executor_run(modify->holder), before,
																 (int) answered(modify, rinfo)));

		again = answer == Py_False;
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (again)
		return NULL;
	store_old_row(modify, slot, plan_slot);
	return slot;
}

/* The statement has written all that it writes here; what was not waited for yet is waited for now, and may fail. */
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
		bridge_call("end_modify", Py_BuildValue("(On)", modify->holder->wrapper, executor_run(modify->holder)));
		end_statement(modify->holder);
		hold(&modify->holder->wrapper, NULL);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}
