/*
 * modify.c: INSERT, UPDATE and DELETE, one call of the table for each row.
 *
 * Where the answer is not used, the table may continue before it has arrived; the statement waits at its end.
 */
#include "host.h"

#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"

/* The trigger function that waits by itself: it reads the foreign table _written (sql/write_through). */
#define COPYING_SCHEMA "stripe_sync"
#define COPYING_FUNCTION "copy_written"

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

Oid
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
	modify->row_context = AllocSetContextCreate(CurrentMemoryContext, "stripe_fdw row",
												ALLOCSET_DEFAULT_SIZES);
	modify->readers = palloc0(sizeof(ColumnReader) * Max(desc->natts, 1));
	for (i = 1; i <= desc->natts; i++)
		if (!TupleDescAttr(desc, i - 1)->attisdropped)
			prepare_reader(&modify->readers[i - 1], relation, i);
	python_enter(&entry);
	PG_TRY();
	{
		hold(&modify->holder->table, open_table(RelationGetRelid(relation), user));
		hold(&modify->holder->cost, bridge_call("request_cost", PyTuple_New(0)));
		begin_statement(modify->holder);
		note_writing();
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
	modify->returned = lsecond_node(List, private);
	if (mtstate->operation != CMD_INSERT)
		find_identity(modify, rinfo, user);
}

NORETURN static void
refuse_move(ResultRelInfo *rinfo)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a row cannot be moved into foreign table \"%s\"",
					client_text(RelationGetRelationName(rinfo->ri_RelationDesc)))));
	pg_unreachable();
}

/*
 * Whether MERGE inserts a row that its UPDATE moves between partitions, rather than by its INSERT: then the
 * plan's row has one of the target.  All its tables carry the row's identity in the same junk column.
 */
static bool
is_merged_move(ModifyTableState *mtstate, TupleTableSlot *plan_slot)
{
#if PG_VERSION_NUM >= 150000
	AttrNumber	identity;
	bool		isnull;

	if (mtstate->operation != CMD_MERGE || TupIsNull(plan_slot) || mtstate->mt_nrels == 0)
		return false;
	identity = mtstate->resultRelInfo[0].ri_RowIdAttNo;
	if (!AttributeNumberIsValid(identity))
		return false;
	(void) ExecGetJunkAttribute(plan_slot, identity, &isnull);
	return !isnull;
#else
	(void) mtstate;
	(void) plan_slot;
	return false;
#endif
}

/* COPY FROM, and rows routed to a partition: no column is named, so those with a value are sent. */
void
BeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	HostModify *modify;

	if (mtstate->operation == CMD_UPDATE)
		refuse_move(rinfo);
	if (mtstate->ps.plan != NULL &&
		castNode(ModifyTable, mtstate->ps.plan)->onConflictAction != ONCONFLICT_NONE)
		refuse_on_conflict();
	modify = begin(mtstate, rinfo, modifying_user(mtstate, rinfo));
	/* What RETURNING names is not known here. */
	modify->returned = list_make1(makeInteger(0));
}

/* Work in the memory context of one row. */
static MemoryContext
begin_row(HostModify *modify)
{
	MemoryContextReset(modify->row_context);
	return MemoryContextSwitchTo(modify->row_context);
}

/* Return true if a trigger's function is the one that copies what was written. */
static bool
waits_by_itself(Oid function)
{
	char	   *name = get_func_name(function);
	char	   *schema = NULL;

	if (name != NULL && strcmp(name, COPYING_FUNCTION) == 0)
		schema = get_namespace_name(get_func_namespace(function));
	return schema != NULL && strcmp(schema, COPYING_SCHEMA) == 0;
}

/*
 * Return true if an AFTER STATEMENT trigger expects that all rows are done.  The one that copies what was
 * written waits for them itself.
 */
static bool
statement_triggers_wait(TriggerDesc *triggers, int16 event)
{
	int			i;

	for (i = 0; i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_STATEMENT, TRIGGER_TYPE_AFTER, event) &&
			!waits_by_itself(trigger->tgfoid))
			return true;
	}
	return false;
}

/*
 * Return true if Stripe's answer is used.  AFTER STATEMENT triggers do not see it, but expect that all rows
 * are done.  Transition tables can only be those of a parent.
 */
static bool
triggers_wait(TriggerDesc *triggers, CmdType operation)
{
	if (triggers == NULL)
		return false;
	if (operation == CMD_INSERT)
		return triggers->trig_insert_after_row || statement_triggers_wait(triggers, TRIGGER_TYPE_INSERT);
	if (operation == CMD_UPDATE)
		return triggers->trig_update_after_row || statement_triggers_wait(triggers, TRIGGER_TYPE_UPDATE);
	return triggers->trig_delete_after_row || statement_triggers_wait(triggers, TRIGGER_TYPE_DELETE);
}

/*
 * Return true if the whole row of Stripe's answer is used, and not by RETURNING alone.  "operation" is the
 * row's: a statement may also be MERGE, which does several.
 */
bool
row_answered(ModifyTableState *mtstate, ResultRelInfo *rinfo, CmdType operation)
{
	ResultRelInfo *root = mtstate->rootResultRelInfo;

	return rinfo->ri_WithCheckOptions != NIL || mtstate->mt_transition_capture != NULL ||
		triggers_wait(rinfo->ri_TrigDesc, operation) ||
		(root != NULL && root != rinfo && triggers_wait(root->ri_TrigDesc, operation));
}

static bool
answered(HostModify *modify, ResultRelInfo *rinfo, CmdType operation)
{
	return rinfo->ri_projectReturning != NULL || row_answered(modify->mtstate, rinfo, operation);
}

/* The columns of Stripe's answer that are used, by name, or None; owned, and in the memory of the row. */
static PyObject *
columns_answered(HostModify *modify, ResultRelInfo *rinfo, CmdType operation)
{
	List	   *columns = list_copy(modify->returned);

	if (!answered(modify, rinfo, operation))
		return Py_None;
	if (row_answered(modify->mtstate, rinfo, operation))
		columns = lappend(columns, makeInteger(0));
	return column_names(RelationGetRelid(rinfo->ri_RelationDesc), columns);
}

TupleTableSlot *
ExecForeignInsert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	HostModify *modify = rinfo->ri_FdwState;
	PythonEntry entry;
	MemoryContext old;

	(void) estate;
	if (is_merged_move(modify->mtstate, plan_slot))
		refuse_move(rinfo);
	old = begin_row(modify);
	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *values = values_to_send(modify, rinfo, slot, true);
		PyObject   *answer = bridge_call("insert", Py_BuildValue("(OnOOO)", modify->holder->table,
																 executor_run(modify->holder),
																 modify->holder->cost, values,
																 columns_answered(modify, rinfo, CMD_INSERT)));

		if (answered(modify, rinfo, CMD_INSERT))
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
		PyObject   *answer = bridge_call("update", Py_BuildValue("(OnOOOO)", modify->holder->table,
																 executor_run(modify->holder),
																 modify->holder->cost, before, values,
																 columns_answered(modify, rinfo, CMD_UPDATE)));

		again = answer == Py_False;
		if (!again && answered(modify, rinfo, CMD_UPDATE))
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
		PyObject   *answer = bridge_call("delete", Py_BuildValue("(OnOOi)", modify->holder->table,
																 executor_run(modify->holder),
																 modify->holder->cost, before,
																 (int) answered(modify, rinfo, CMD_DELETE)));

		again = answer == Py_False;
		if (!again)
			store_old_row(modify, slot, plan_slot);
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

/* The statement has written all its rows: wait for the requests under way, which may fail. */
void
EndForeignModify(EState *estate, ResultRelInfo *rinfo)
{
	HostModify *modify = rinfo->ri_FdwState;
	PythonEntry entry;

	(void) estate;
	if (modify == NULL || modify->holder->table == NULL)
		return;
	python_enter(&entry);
	PG_TRY();
	{
		bridge_call("end_modify", Py_BuildValue("(On)", modify->holder->table, executor_run(modify->holder)));
		end_statement(modify->holder);
		hold(&modify->holder->cost, NULL);
		hold(&modify->holder->table, NULL);
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}
