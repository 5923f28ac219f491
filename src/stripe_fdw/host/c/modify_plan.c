/*
 * modify_plan.c: what changing a table can do, and what a plan must know for it.
 */
#include "host.h"

#include "access/sysattr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "parser/parsetree.h"
#if PG_VERSION_NUM >= 160000
#include "optimizer/inherit.h"
#include "optimizer/pathnode.h"
#include "parser/parse_relation.h"
#endif
#include "utils/lsyscache.h"

/* The attnum of the column that identifies a row; an error if the wrapper has none. */
AttrNumber
rowid_attnum(Relation relation, Oid user)
{
	PythonEntry entry;
	AttrNumber	result = InvalidAttrNumber;
	AttrNumber *volatile found = &result;

	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *name = bridge_call("rowid_column",
									   Py_BuildValue("(O)", table_wrapper(RelationGetRelid(relation), user)));

		*found = get_attnum(RelationGetRelid(relation), python_text(name));
		if (*found <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
					 errmsg("foreign table \"%s\" cannot be changed without its column \"%s\"",
							RelationGetRelationName(relation), python_text(name))));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	return result;
}

/* As whom the table is changed: a view's owner, or whoever asks. */
static Oid
changing_user(PlannerInfo *root, RangeTblEntry *rte)
{
	Oid			user = InvalidOid;

#if PG_VERSION_NUM >= 160000
	if (rte->perminfoindex != 0)
		user = getRTEPermissionInfo(root->parse->rteperminfos, rte)->checkAsUser;
#else
	(void) root;
	user = rte->checkAsUser;
#endif
	return OidIsValid(user) ? user : GetUserId();
}

/* UPDATE and DELETE need the id of each row; DELETE ... RETURNING the whole row, since nobody else keeps it. */
void
AddForeignUpdateTargets(PlannerInfo *root, Index rtindex, RangeTblEntry *rte, Relation relation)
{
	AttrNumber	attnum = rowid_attnum(relation, changing_user(root, rte));
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
	Var		   *var = makeVar(rtindex, attnum, attribute->atttypid, attribute->atttypmod,
							  attribute->attcollation, 0);

	add_row_identity_var(root, var, rtindex, ROWID);
	if (root->parse->commandType == CMD_DELETE && root->parse->returningList != NIL)
		add_row_identity_var(root, makeWholeRowVar(rte, rtindex, 0, false), rtindex, WHOLE_ROW);
}

/* The columns that the statement names, with the offset that makes system columns positive. */
static Bitmapset *
named_columns(PlannerInfo *root, Index rtindex, CmdType operation)
{
	RangeTblEntry *rte = planner_rt_fetch(rtindex, root);
#if PG_VERSION_NUM >= 160000
	/* A child table has no permissions of its own; this translates its parent's. */
	if (operation == CMD_UPDATE)
		return get_rel_all_updated_cols(root, find_base_rel(root, rtindex));
	return getRTEPermissionInfo(root->parse->rteperminfos, rte)->insertedCols;
#else
	return operation == CMD_INSERT ? rte->insertedCols : rte->updatedCols;
#endif
}

List *
PlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index rtindex, int subplan)
{
	List	   *columns = NIL;
	Bitmapset  *named;
	int			bit = -1;

	(void) subplan;
	if (plan->onConflictAction != ONCONFLICT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ON CONFLICT is not supported on foreign tables of stripe_fdw")));
	if (plan->operation == CMD_DELETE)
		return list_make1(NIL);
	named = named_columns(root, rtindex, plan->operation);
	while ((bit = bms_next_member(named, bit)) >= 0)
	{
		int			attnum = bit + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0)
			columns = lappend(columns, makeInteger(attnum));
	}
	return list_make1(columns);
}

int
IsForeignRelUpdatable(Relation relation)
{
	(void) relation;
	return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
}

void
ExecForeignTruncate(List *relations, DropBehavior behavior, bool restart_seqs)
{
	(void) behavior;
	(void) restart_seqs;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign table \"%s\" cannot be truncated",
					RelationGetRelationName((Relation) linitial(relations))),
			 errhint("Delete its rows with DELETE, where Stripe can delete them.")));
}
