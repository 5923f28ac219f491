/*
 * plan.c: size estimates, and the chosen path as a plan.
 */
#include "host.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

/* As whom the scan will read, as scan_user() finds it later. */
Oid
planned_user(RelOptInfo *rel, RangeTblEntry *rte)
{
	Oid			user;
#if PG_VERSION_NUM >= 160000
	(void) rte;
	user = rel->userid;
#else
	(void) rel;
	user = rte->checkAsUser;
#endif
	return OidIsValid(user) ? user : GetUserId();
}

/* The columns that the query or a condition on the table uses: Integer attnums, in the table's order. */
static List *
columns_used(RelOptInfo *rel, Oid relid)
{
	Relation	relation = table_open(relid, NoLock);
	TupleDesc	desc = RelationGetDescr(relation);
	Bitmapset  *used = NULL;
	List	   *columns = NIL;
	ListCell   *cell;
	bool		all;
	int			i;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &used);
	foreach(cell, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause, rel->relid, &used);
	all = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);	/* the whole row */
	for (i = 1; i <= desc->natts; i++)
	{
		if (TupleDescAttr(desc, i - 1)->attisdropped)
			continue;
		if (all || bms_is_member(i - FirstLowInvalidHeapAttributeNumber, used))
			columns = lappend(columns, makeInteger(i));
	}
	table_close(relation, NoLock);
	return columns;
}

/* Whether triggers of the table see the rows that the statement changes. */
static bool
triggers_see_rows(Relation relation, CmdType operation)
{
	TriggerDesc *triggers = relation->trigdesc;

	if (triggers == NULL)
		return false;
	if (operation == CMD_DELETE)
		return triggers->trig_delete_before_row || triggers->trig_delete_after_row;
	return triggers->trig_update_before_row || triggers->trig_update_after_row;
}

/* Add the attributes that the query uses.  PostgreSQL has added to its list what identifies rows. */
static void
add_varattnos(Query *query, Index rtindex, bool returned, Bitmapset **used)
{
	ListCell   *cell;

	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!(entry->resjunk && entry->ressortgroupref == 0 && IsA(entry->expr, Var)))
			pull_varattnos((Node *) entry->expr, rtindex, used);
	}
	if (returned)
		pull_varattnos((Node *) query->returningList, rtindex, used);
	pull_varattnos((Node *) query->jointree, rtindex, used);
	pull_varattnos(query->havingQual, rtindex, used);
#if PG_VERSION_NUM >= 150000
	pull_varattnos((Node *) query->mergeActionList, rtindex, used);
#endif
}

/* Whether RETURNING shows rows that are changed as they were read: the deleted ones, and "old". */
static bool
returns_rows_read(Query *query)
{
#if PG_VERSION_NUM >= 180000
	if (contain_vars_returning_old_or_new((Node *) query->returningList))
		return true;
#endif
	return query->commandType == CMD_DELETE && query->returningList != NIL;
}

/*
 * The columns that the query itself names: Integer attnums, 0 for the whole row.  PostgreSQL asks for the
 * whole of each row that is changed or locked, and of those joined to them, whether or not the query uses it.
 */
static List *
columns_named(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	Query	   *query = root->parse;
	bool		changed = bms_is_member(rel->relid, root->all_result_relids);
	Index		rtindex = rel->relid;
	Bitmapset  *used = NULL;
	Bitmapset  *in_query = NULL;
	List	   *named = NIL;
	ListCell   *cell;
	int			bit = -1;
	bool		all;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &used);
	foreach(cell, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause, rel->relid, &used);
	all = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	if (all && (changed || get_plan_rowmark(root->rowMarks, rel->relid) != NULL))
	{
		/* A child's columns are its parent's in the query. */
		if (rel->top_parent_relids != NULL)
			rtindex = (Index) bms_next_member(rel->top_parent_relids, -1);
		add_varattnos(query, rtindex, !changed || returns_rows_read(query), &in_query);
		all = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, in_query);
	}
	if (changed)
	{
		Relation	relation = table_open(relid, NoLock);

		all = all || triggers_see_rows(relation, query->commandType);
		table_close(relation, NoLock);
		if (returns_rows_read(query) && rtindex == rel->relid)
			pull_varattnos((Node *) query->returningList, rtindex, &used);
		else if (returns_rows_read(query))
			all = true;
		if (query->commandType == CMD_UPDATE)
			used = bms_add_members(used, set_columns(root, rel->relid, query->commandType));
	}
	while ((bit = bms_next_member(used, bit)) >= 0)
		if (bit + FirstLowInvalidHeapAttributeNumber > 0)
			named = lappend(named, makeInteger(bit + FirstLowInvalidHeapAttributeNumber));
	return all ? lappend(named, makeInteger(0)) : named;
}

/* The names of columns as a list of str; owned.  The attnum 0 is the whole row, named by an asterisk. */
PyObject *
column_names(Oid relid, List *attnums)
{
	PyObject   *names = own_reference(PyList_New(0));
	ListCell   *cell;

	foreach(cell, attnums)
	{
		AttrNumber	attnum = (AttrNumber) intVal(lfirst(cell));
		char	   *name = attnum == 0 ? "*" : get_attname(relid, attnum, false);

		if (PyList_Append(names, own_reference(text_to_python(name))) != 0)
			throw_python_error();
	}
	return names;
}

/* Ask the table for the rows, width and duration of a scan with the plan's quals and columns. */
void
ask_size(PlannerInfo *root, RelOptInfo *rel, Oid relid, TablePlan *plan)
{
	/* Volatile, or compilers give it the register of an argument that they then say longjmp() may change. */
	volatile Oid user = planned_user(rel, planner_rt_fetch(rel->relid, root));
	PythonEntry entry;

	estimate_values(root, plan->quals);
	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *table = open_table(relid, user);
		PyObject   *quals = estimated_quals(relid, plan->quals);
		PyObject   *size = bridge_call("rel_size", Py_BuildValue("(OOO)", table, quals,
																 column_names(relid, plan->columns)));

		/* bridge.py has made four finite floats and a small int of them. */
		plan->rows = PyFloat_AsDouble(PyTuple_GetItem(size, 0));
		plan->width = PyFloat_AsDouble(PyTuple_GetItem(size, 1));
		plan->seconds = PyFloat_AsDouble(PyTuple_GetItem(size, 2));
		plan->seconds_ahead = PyFloat_AsDouble(PyTuple_GetItem(size, 3));
		plan->ahead = (int) PyLong_AsLong(PyTuple_GetItem(size, 4));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

void
GetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	TablePlan  *plan = palloc0(sizeof(TablePlan));
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		HostQual   *qual = info->pseudoconstant ? NULL : qual_of_clause(root, rel, info->clause);

		if (IsA(info->clause, CurrentOfExpr))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("WHERE CURRENT OF is not supported on foreign table \"%s\"",
							client_text(get_rel_name(relid))),
					 errhint("Name the row by its id.")));
		if (qual != NULL)
			plan->quals = lappend(plan->quals, qual);
		else
			plan->local = lappend(plan->local, info);
	}
	plan->columns = columns_used(rel, relid);
	plan->named = columns_named(root, rel, relid);
	ask_size(root, rel, relid, plan);

	rel->fdw_private = plan;
	/*
	 * ANALYZE has stored a row count and statistics: PostgreSQL estimates better with them than the table
	 * can.
	 */
	plan->analyzed = rel->tuples > 0;
	if (!plan->analyzed)
		rel->tuples = plan->rows;
	set_baserel_size_estimates(root, rel);
	if (!plan->analyzed)
		rel->rows = clamp_row_est(plan->rows * clauselist_selectivity(root, plan->local, rel->relid,
																	  JOIN_INNER, NULL));
	rel->reltarget->width = (int) plan->width;
}

/* LIMIT as an index in fdw_exprs, if the first rows of the scan are the first rows of the query; else -1. */
static int
limit_expression(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path, Node *limit, List **expressions)
{
	Query	   *query = root->parse;
	TablePlan  *plan = rel->fdw_private;

	if (limit == NULL || query->limitOption != LIMIT_OPTION_COUNT ||
		query->groupClause || query->groupingSets ||
		query->distinctClause || query->hasAggs || query->hasWindowFuncs || query->hasTargetSRFs ||
		query->setOperations || query->commandType != CMD_SELECT || root->hasHavingQual)
		return -1;
	if (bms_membership(root->all_baserels) != BMS_SINGLETON || !bms_equal(root->all_baserels, rel->relids) ||
		plan->local != NIL || !pathkeys_contained_in(root->query_pathkeys, path->path.pathkeys))
		return -1;
	if (contain_volatile_functions(limit) || contain_subplans(limit))
		return -1;
	*expressions = lappend(*expressions, copyObject(limit));
	return list_length(*expressions) - 1;
}

/* A qual as a node of PLAN_QUALS; its values are appended to the expressions. */
static List *
write_qual(HostQual *qual, List **expressions)
{
	List	   *written = list_make3(makeInteger(qual->attnum), makeString(qual->operator),
									 makeInteger(qual->kind));
	ListCell   *cell;

	foreach(cell, qual->values)
	{
		written = lappend(written, makeInteger(list_length(*expressions)));
		*expressions = lappend(*expressions, lfirst(cell));
	}
	return written;
}

/* Return 2 if the rows that are read are then changed, 1 if they are locked by SELECT FOR UPDATE, else 0. */
static int
reads_to_change(PlannerInfo *root, Index rtindex)
{
	PlanRowMark *mark = get_plan_rowmark(root->rowMarks, rtindex);

	if (bms_is_member(rtindex, root->all_result_relids))
		return 2;
	return mark != NULL && mark->strength != LCS_NONE ? 1 : 0;
}

/* Whether the expression needs values of other tables' rows, or of subqueries that run for each row. */
static bool
needs_other_rows(Node *node, void *context)
{
	PlannerInfo *root;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, Var) || IsA(node, PlaceHolderVar))
		return true;
	if (!IsA(node, Param) || ((Param *) node)->paramkind != PARAM_EXEC)
		return expression_tree_walker(node, needs_other_rows, context);
	for (root = context; root != NULL; root = root->parent_root)
		foreach(cell, root->init_plans)
			if (list_member_int(lfirst_node(SubPlan, cell)->setParam, ((Param *) node)->paramid))
				return false;
	return true;
}

/* The indexes of the expressions that are known once subqueries have run. */
static List *
values_of_subqueries(PlannerInfo *root, List *expressions)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, expressions)
		if (!needs_other_rows(lfirst(cell), root))
			result = lappend_int(result, foreach_current_index(cell));
	return result;
}

ForeignScan *
GetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path, List *tlist, List *clauses,
			   Plan *outer_plan)
{
	TablePlan  *plan = rel->fdw_private;
	List	   *expressions = NIL;
	List	   *quals = NIL;
	List	   *limits;
	List	   *private;
	ListCell   *cell;
	int			limit;
	int			offset = -1;

	(void) relid;
	/* A parameterised path has the join's clauses among these. */
	foreach(cell, clauses)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		HostQual   *qual = info->pseudoconstant ? NULL : qual_of_clause(root, rel, info->clause);

		if (qual != NULL)
			quals = lappend(quals, write_qual(qual, &expressions));
	}
	limit = limit_expression(root, rel, path, root->parse->limitCount, &expressions);
	if (limit >= 0 && root->parse->limitOffset != NULL)
	{
		offset = limit_expression(root, rel, path, root->parse->limitOffset, &expressions);
		if (offset < 0)
			limit = -1;
	}
	limits = list_make2(makeInteger(limit), makeInteger(offset));

	private = list_make5(plan->columns, quals, path->fdw_private, limits,
						 makeInteger(reads_to_change(root, rel->relid)));
	private = lappend(private, plan->named);
	private = lappend(private, values_of_subqueries(root, expressions));
	private = lappend(private, makeInteger(plan->ahead));
	return make_foreignscan(tlist, extract_actual_clauses(clauses, false), rel->relid, expressions, private,
							NIL, NIL, outer_plan);
}

/* Python, its threads and its connections are one backend's. */
bool
IsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	(void) root;
	(void) rel;
	(void) rte;
	return false;
}
