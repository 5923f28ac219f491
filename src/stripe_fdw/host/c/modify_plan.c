/*
 * modify_plan.c: planning of INSERT, UPDATE and DELETE.
 */
#include "host.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/inherit.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"
#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"
#endif
#include "utils/lsyscache.h"

static AttrNumber
identity_attnum(Relation relation, const char *name)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(relation), name);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
				 errmsg("foreign table \"%s\" cannot be changed without its column \"%s\"",
						client_text(RelationGetRelationName(relation)), name)));
	return attnum;
}

/* The columns of a row that the table needs to change it: Integer attnums, at least one. */
List *
identity_attnums(Relation relation, Oid user)
{
	PythonEntry entry;
	List	   *result = NIL;
	List	  **volatile found = &result;

	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *names = bridge_call("row_identity",
										Py_BuildValue("(O)", open_table(RelationGetRelid(relation), user)));
		Py_ssize_t	i;

		for (i = 0; i < PyTuple_GET_SIZE(names); i++)
			*found = lappend(*found, makeInteger(identity_attnum(relation,
																 python_text(PyTuple_GET_ITEM(names, i)))));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	if (result == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows of foreign table \"%s\" cannot be updated or deleted",
						client_text(RelationGetRelationName(relation)))));
	return result;
}

/*
 * The junk column that carries one of them.  Tables below one parent share those of the same name, which must
 * then be of the same column and type: so the name says which.
 */
char *
identity_name(Form_pg_attribute attribute)
{
	return psprintf("stripe_fdw %d %u %d %u", attribute->attnum, attribute->atttypid, attribute->atttypmod,
					attribute->attcollation);
}

/* The user whose mapping a write uses: a view's owner, or the current user. */
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

/*
 * UPDATE and DELETE need the identity of each row; DELETE ... RETURNING needs the whole row, which is kept
 * nowhere else.  It is asked for as PostgreSQL itself does for UPDATE and for triggers.
 */
void
AddForeignUpdateTargets(PlannerInfo *root, Index rtindex, RangeTblEntry *rte, Relation relation)
{
	ListCell   *cell;

	foreach(cell, identity_attnums(relation, changing_user(root, rte)))
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), intVal(lfirst(cell)) - 1);

		add_row_identity_var(root,
							 makeVar(rtindex, attribute->attnum, attribute->atttypid, attribute->atttypmod,
									 attribute->attcollation, 0),
							 rtindex, identity_name(attribute));
	}
	if (root->parse->commandType == CMD_DELETE && root->parse->returningList != NIL)
		add_row_identity_var(root, makeVar(rtindex, InvalidAttrNumber, RECORDOID, -1, InvalidOid, 0),
							 rtindex, WHOLE_ROW);
}

/*
 * The columns that the statement names, and generated columns computed from them, with the offset that makes
 * system columns positive.
 */
Bitmapset *
set_columns(PlannerInfo *root, Index rtindex, CmdType operation)
{
	RangeTblEntry *rte = planner_rt_fetch(rtindex, root);

	if (operation == CMD_UPDATE)
	{
#if PG_VERSION_NUM >= 150002 || (PG_VERSION_NUM >= 140007 && PG_VERSION_NUM < 150000)
		/* A child table has no permissions of its own; this translates its parent's. */
		return get_rel_all_updated_cols(root, find_base_rel(root, rtindex));
#else
		return bms_union(rte->updatedCols, rte->extraUpdatedCols);
#endif
	}
#if PG_VERSION_NUM >= 160000
	return getRTEPermissionInfo(root->parse->rteperminfos, rte)->insertedCols;
#else
	return rte->insertedCols;
#endif
}

/* The columns that RETURNING names: Integer attnums, 0 for the whole row. */
static List *
returned_columns(ModifyTable *plan, Index rtindex, int subplan)
{
	Bitmapset  *used = NULL;
	List	   *columns = NIL;
	int			bit = -1;

	if (plan->returningLists == NIL)
		return NIL;
	pull_varattnos(list_nth(plan->returningLists, subplan), rtindex, &used);
	while ((bit = bms_next_member(used, bit)) >= 0)
		if (bit + FirstLowInvalidHeapAttributeNumber >= 0)
			columns = lappend(columns, makeInteger(bit + FirstLowInvalidHeapAttributeNumber));
	return columns;
}

List *
PlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index rtindex, int subplan)
{
	List	   *columns = NIL;
	Bitmapset  *named;
	int			bit = -1;

	if (plan->onConflictAction != ONCONFLICT_NONE)
		refuse_on_conflict();
	check_writable(planner_rt_fetch(rtindex, root)->relid,
				   changing_user(root, planner_rt_fetch(rtindex, root)), plan->operation);
	if (plan->operation == CMD_DELETE)
		return list_make2(NIL, NIL);
	named = set_columns(root, rtindex, plan->operation);
	while ((bit = bms_next_member(named, bit)) >= 0)
	{
		int			attnum = bit + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0)
			columns = lappend(columns, makeInteger(attnum));
	}
	return list_make2(columns, returned_columns(plan, rtindex, subplan));
}

void
ExecForeignTruncate(List *relations, DropBehavior behavior, bool restart_seqs)
{
	(void) behavior;
	(void) restart_seqs;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign table \"%s\" cannot be truncated",
					client_text(RelationGetRelationName((Relation) linitial(relations)))),
			 errhint("Delete its rows with DELETE, where Stripe can delete them.")));
}
