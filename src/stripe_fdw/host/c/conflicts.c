/*
 * conflicts.c: refuse INSERT ... ON CONFLICT with a message that says what to do instead.
 *
 * Without a conflict target PlanForeignModify() is asked.  With one PostgreSQL looks for a unique index
 * before that, and says only that there is none: so statements are looked at before they are planned.  (The
 * first statement of a session is planned before this module is loaded, and gets PostgreSQL's own message.)
 */
#include "host.h"

#include "catalog/pg_class.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"

static planner_hook_type next_planner = NULL;
static PlanForeignModify_function our_plan_modify = NULL;

void
refuse_on_conflict(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("ON CONFLICT is not supported on foreign tables of stripe_fdw"),
			 errdetail("Stripe has no unique constraints that a row could conflict with."),
			 errhint("To run a statement again without a second object, give each row an _idempotency_key. "
					 "To change what exists and create the rest, UPDATE first, then "
					 "INSERT ... SELECT ... WHERE NOT EXISTS (...).")));
}

static bool
inserts_into_ours(Query *query)
{
	RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);

	return rte->relkind == RELKIND_FOREIGN_TABLE &&
		GetFdwRoutineByRelId(rte->relid)->PlanForeignModify == our_plan_modify;
}

static void
look_for_conflicts(Query *query)
{
	ListCell   *cell;

	if (query->commandType == CMD_INSERT && query->onConflict != NULL && inserts_into_ours(query))
		refuse_on_conflict();
	foreach(cell, query->cteList)
		look_for_conflicts(castNode(Query, lfirst_node(CommonTableExpr, cell)->ctequery));
}

static PlannedStmt *
look_and_plan(Query *query, const char *text, int options, ParamListInfo parameters)
{
	look_for_conflicts(query);
	return (next_planner ? next_planner : standard_planner) (query, text, options, parameters);
}

/* A foreign table is ours if its FdwRoutine has "plan_modify". */
void
install_planner_hook(PlanForeignModify_function plan_modify)
{
	our_plan_modify = plan_modify;
	next_planner = planner_hook;
	planner_hook = look_and_plan;
}
