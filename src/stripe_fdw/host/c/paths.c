/*
 * paths.c: access paths: a full scan, a scan in an order that the table delivers, or a scan for one value at
 * a time of a join's other side.
 */
#include "host.h"

#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_collation.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/*
 * The cost of a second relative to a page read from disk (1), which takes a hundred-thousandth of it.  Between
 * plans only the seconds decide, and with a higher cost each scan of an unknown table would start the JIT
 * compiler (jit_above_cost).
 */
#define COST_OF_SECOND 400.0
#define SECONDS_OF_FIRST_ANSWER 0.1

/* Columns, each of which a join may give a value. */
typedef struct PathColumns
{
	List	   *attnums;		/* Integer; 0 for a column that the table lacks */
	double		rows;			/* for one value of each */
} PathColumns;

/* What the wrapper offers for a table. */
typedef struct PathOffer
{
	int			sorted;			/* so many sort keys, from the first, are its order */
	List	   *keys;			/* PathColumns */
} PathOffer;

static ForeignPath *
make_path(PlannerInfo *root, RelOptInfo *rel, double rows, double seconds, List *pathkeys, Relids outer,
		  List *sort)
{
	double		startup = COST_OF_SECOND * Min(seconds, SECONDS_OF_FIRST_ANSWER);
	double		total = COST_OF_SECOND * seconds + rows * cpu_tuple_cost +
		rows * rel->baserestrictcost.per_tuple + rel->baserestrictcost.startup;

#if PG_VERSION_NUM >= 180000
	return create_foreignscan_path(root, rel, NULL, rows, 0, startup, total,
								   pathkeys, outer, NULL, NIL, sort);
#elif PG_VERSION_NUM >= 170000
	return create_foreignscan_path(root, rel, NULL, rows, startup, total,
								   pathkeys, outer, NULL, NIL, sort);
#else
	return create_foreignscan_path(root, rel, NULL, rows, startup, total,
								   pathkeys, outer, NULL, sort);
#endif
}

/* ---- sort order ---- */

static bool
pathkey_descends(PathKey *key)
{
#if PG_VERSION_NUM >= 180000
	return key->pk_cmptype == COMPARE_GT;
#else
	return key->pk_strategy == BTGreaterStrategyNumber;
#endif
}

/* Return true if the order is the one that "<" and ">" of the type mean, not one of ORDER BY ... USING. */
static bool
is_order_of_type(PathKey *key, Oid type)
{
	return key->pk_opfamily == lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
}

/* The table's column that stands in a pathkey, or 0. */
static AttrNumber
column_of_pathkey(RelOptInfo *rel, PathKey *key)
{
	ListCell   *cell;

	if (key->pk_eclass->ec_has_volatile)
		return 0;
	foreach(cell, key->pk_eclass->ec_members)
	{
		EquivalenceMember *member = lfirst(cell);
		Var		   *var = (Var *) member->em_expr;

		if (IsA(var, Var) && bms_equal(member->em_relids, rel->relids) && !member->em_is_child &&
			var->varattno > 0 && family_of(var->vartype) != FAMILY_NONE &&
			is_order_of_type(key, var->vartype))
			return var->varattno;
	}
	return 0;
}

/*
 * The query's ORDER BY as (attnum, descending, nulls first, collation), up to the first key that is no
 * column.
 */
List *
sort_keys(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *keys = NIL;
	ListCell   *cell;

	foreach(cell, root->query_pathkeys)
	{
		PathKey    *key = lfirst_node(PathKey, cell);
		AttrNumber	attnum = column_of_pathkey(rel, key);
		Oid			collation = key->pk_eclass->ec_collation;

		/* The order of text is the bytes' for no collation but C. */
		if (attnum == 0 || (OidIsValid(collation) && collation != C_COLLATION_OID))
			break;
		keys = lappend(keys, list_make4(makeInteger(attnum), makeInteger(pathkey_descends(key)),
										makeInteger(key->pk_nulls_first),
										makeString(OidIsValid(collation) ? "C" : "")));
	}
	return keys;
}

/* Keys as a list of (column, descending, nulls first, collation); owned. */
PyObject *
sort_to_python(Oid relid, List *keys)
{
	PyObject   *list = own_reference(PyList_New(0));
	ListCell   *cell;

	foreach(cell, keys)
	{
		List	   *key = lfirst_node(List, cell);
		char	   *column = get_attname(relid, (AttrNumber) intVal(linitial(key)), false);
		char	   *collation = strVal(lfourth(key));
		PyObject   *name = own_reference(text_to_python(column));
		PyObject   *collation_name = collation[0] ? own_reference(text_to_python(collation)) : Py_None;
		PyObject   *item = own_reference(Py_BuildValue("(OiiO)", name, (int) intVal(lsecond(key)),
													   (int) intVal(lthird(key)), collation_name));

		if (PyList_Append(list, item) != 0)
			throw_python_error();
	}
	return list;
}

/* A path for the first keys, as many as the wrapper's order satisfies. */
static void
add_sorted_path(PlannerInfo *root, RelOptInfo *rel, List *keys, int length)
{
	double		seconds = ((TablePlan *) rel->fdw_private)->seconds;

	length = Min(length, list_length(keys));
	if (length <= 0)
		return;
	add_path(rel, (Path *) make_path(root, rel, rel->rows, seconds,
									 list_truncate(list_copy(root->query_pathkeys), length), NULL,
									 list_truncate(keys, length)));
}

/* ---- one value at a time ---- */

static bool
is_wanted_column(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec, EquivalenceMember *em,
				 void *argument)
{
	AttrNumber	wanted = *(AttrNumber *) argument;
	Var		   *var = (Var *) em->em_expr;

	(void) root;
	(void) ec;
	if (is_json_field(rel, em->em_expr, wanted))
		return true;
	while (IsA(var, RelabelType))
		var = (Var *) ((RelabelType *) var)->arg;
	return IsA(var, Var) && var->varattno == wanted && bms_is_member(var->varno, rel->relids);
}

/* The join clauses "column = something of other tables". */
static List *
join_clauses(PlannerInfo *root, RelOptInfo *rel, AttrNumber attnum)
{
	List	   *found = NIL;
	List	   *candidates = list_copy(rel->joininfo);
	ListCell   *cell;

	if (rel->has_eclass_joins)
	{
		List	   *implied = generate_implied_equalities_for_column(root, rel, is_wanted_column, &attnum,
																	 rel->lateral_referencers);

		candidates = list_concat(candidates, implied);
	}
	foreach(cell, candidates)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		HostQual   *qual;

		if (!join_clause_is_movable_to(info, rel))
			continue;
		qual = qual_of_clause(root, rel, info->clause);
		if (qual != NULL && qual->attnum == attnum &&
			(strcmp(qual->operator, "=") == 0 || strcmp(qual->operator, "= any") == 0))
			found = lappend(found, info);
	}
	return found;
}

/* Return true if the query itself says what the column equals. */
static bool
is_bound(RelOptInfo *rel, AttrNumber attnum)
{
	TablePlan  *plan = rel->fdw_private;
	ListCell   *cell;

	foreach(cell, plan->quals)
	{
		HostQual   *qual = lfirst(cell);

		if (qual->attnum == attnum &&
			(strcmp(qual->operator, "=") == 0 || strcmp(qual->operator, "= any") == 0))
			return true;
	}
	return false;
}

/*
 * The size of a scan for one value of each column that the other side gives.  What the path does not give may
 * leave a long list to read, or one for each object of another table.
 */
static TablePlan
parameterised_size(PlannerInfo *root, RelOptInfo *rel, ParamPathInfo *info)
{
	TablePlan	scan = *(TablePlan *) rel->fdw_private;
	ListCell   *cell;

	scan.quals = list_copy(scan.quals);
	foreach(cell, info->ppi_clauses)
	{
		HostQual   *qual = qual_of_clause(root, rel, lfirst_node(RestrictInfo, cell)->clause);

		if (qual != NULL)
			scan.quals = lappend(scan.quals, qual);
	}
	ask_size(root, rel, planner_rt_fetch(rel->relid, root)->relid, &scan);
	return scan;
}

/*
 * How many times the other side will ask, at least: as PostgreSQL guesses it for index scans, by the smallest
 * of the tables that it consists of.
 */
static double
expected_loops(PlannerInfo *root, Relids outer)
{
	double		loops = 0;
	int			relid = -1;

	while ((relid = bms_next_member(outer, relid)) >= 0)
	{
		RelOptInfo *rel = relid < root->simple_rel_array_size ? root->simple_rel_array[relid] : NULL;

		if (rel != NULL && rel->rows > 0)
			loops = loops > 0 ? Min(loops, rel->rows) : rel->rows;
	}
	return Max(loops, 1);
}

static void
add_one_parameterised_path(PlannerInfo *root, RelOptInfo *rel, Relids outer, double rows)
{
	ParamPathInfo *info;
	TablePlan	scan;
	double		seconds;

	outer = bms_union(outer, rel->lateral_relids);
	outer = bms_del_members(bms_copy(outer), rel->relids);
	if (bms_is_empty(outer))
		return;
	info = get_baserel_parampathinfo(root, rel, outer);
	scan = parameterised_size(root, rel, info);
	rows = Min(rows, scan.rows);
	if (!((TablePlan *) rel->fdw_private)->analyzed)
		info->ppi_rows = Min(info->ppi_rows, clamp_row_est(Min(rows, rel->rows)));
	/* The first answer is waited for as long as ever, whatever is asked ahead. */
	seconds = scan.seconds_ahead + Max(scan.seconds - scan.seconds_ahead, 0) / expected_loops(root, outer);
	add_path(rel, (Path *) make_path(root, rel, info->ppi_rows, seconds, NIL, outer, NIL));
}

/*
 * A path for every combination of one clause for each of the columns; bounded, since few columns have
 * several.
 */
static void
combine(PlannerInfo *root, RelOptInfo *rel, List *clauses, int column, Relids outer, double rows, int *budget)
{
	ListCell   *cell;

	if (column == list_length(clauses))
	{
		if ((*budget)-- > 0)
			add_one_parameterised_path(root, rel, outer, rows);
		return;
	}
	if (list_nth(clauses, column) == NIL)	/* equal to a constant anyway */
		combine(root, rel, clauses, column + 1, outer, rows, budget);
	foreach(cell, (List *) list_nth(clauses, column))
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);

		combine(root, rel, clauses, column + 1, bms_union(outer, info->clause_relids), rows, budget);
	}
}

static void
add_parameterised_path(PlannerInfo *root, RelOptInfo *rel, PathColumns *key, int *budget)
{
	List	   *clauses = NIL;
	ListCell   *cell;

	foreach(cell, key->attnums)
	{
		AttrNumber	attnum = (AttrNumber) intVal(lfirst(cell));
		List	   *found = attnum > 0 ? join_clauses(root, rel, attnum) : NIL;

		if (found == NIL && !is_bound(rel, attnum))
			return;
		clauses = lappend(clauses, found);
	}
	if (clauses != NIL)
		combine(root, rel, clauses, 0, NULL, key->rows, budget);
}

/* ---- what the wrapper offers ---- */

/* One of path_keys(), ((column, ...), rows); bridge.py has checked its form. */
static PathColumns *
path_columns(Oid relid, PyObject *key)
{
	PathColumns *result = palloc0(sizeof(PathColumns));
	PyObject   *columns = PyTuple_GET_ITEM(key, 0);
	Py_ssize_t	i;

	result->rows = PyFloat_AsDouble(PyTuple_GET_ITEM(key, 1));
	for (i = 0; i < PyTuple_GET_SIZE(columns); i++)
		result->attnums = lappend(result->attnums,
								  makeInteger(get_attnum(relid, python_text(PyTuple_GET_ITEM(columns, i)))));
	return result;
}

static void
ask_paths(Oid relid, Oid user, List *sort, PathOffer *offer)
{
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *table = open_table(relid, user);
		PyObject   *keys;
		Py_ssize_t	i;

		if (sort != NIL)
			offer->sorted = (int) PyLong_AsLong(bridge_call("sortable",
															Py_BuildValue("(OO)", table,
																		  sort_to_python(relid, sort))));
		keys = bridge_call("path_keys", Py_BuildValue("(O)", table));
		for (i = 0; i < PyList_GET_SIZE(keys); i++)
			offer->keys = lappend(offer->keys, path_columns(relid, PyList_GET_ITEM(keys, i)));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

/*
 * The paths are made after Python is left: estimating them calls the functions of users, which take their
 * time.
 */
void
GetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	TablePlan  *plan = rel->fdw_private;
	PathOffer	offer = {0};
	List	   *sort;
	ListCell   *cell;
	int			budget = 20;

	add_path(rel, (Path *) make_path(root, rel, rel->rows, plan->seconds, NIL, rel->lateral_relids, NIL));
	if (root->query_pathkeys == NIL && rel->joininfo == NIL && !rel->has_eclass_joins)
		return;
	sort = bms_is_empty(rel->lateral_relids) ? sort_keys(root, rel) : NIL;
	ask_paths(relid, planned_user(rel, planner_rt_fetch(rel->relid, root)), sort, &offer);
	add_sorted_path(root, rel, sort, offer.sorted);
	foreach(cell, offer.keys)
		add_parameterised_path(root, rel, lfirst(cell), &budget);
}
