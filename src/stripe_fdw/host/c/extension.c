/*
 * extension.c: the handler, which gives PostgreSQL the functions for each step.
 */
#include "host.h"

#include "miscadmin.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(stripe_fdw_handler);

extern void _PG_init(void);

/* PostgreSQL loads this module. */
void
_PG_init(void)
{
	define_settings();			/* first: it may fail */
	install_planner_hook(PlanForeignModify);
	install_executor_hooks();
	install_statistics_hook();
	if (process_shared_preload_libraries_in_progress && IsPostmasterEnvironment && !IsUnderPostmaster)
		python_preload();
}

Datum
stripe_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	(void) fcinfo;
	routine->GetForeignRelSize = GetForeignRelSize;
	routine->GetForeignPaths = GetForeignPaths;
	routine->GetForeignPlan = GetForeignPlan;
	routine->IsForeignScanParallelSafe = IsForeignScanParallelSafe;

	routine->BeginForeignScan = BeginForeignScan;
	routine->IterateForeignScan = IterateForeignScan;
	routine->ReScanForeignScan = ReScanForeignScan;
	routine->EndForeignScan = EndForeignScan;

	routine->AnalyzeForeignTable = AnalyzeForeignTable;

	routine->IsForeignRelUpdatable = IsForeignRelUpdatable;
	routine->AddForeignUpdateTargets = AddForeignUpdateTargets;
	routine->PlanForeignModify = PlanForeignModify;
	routine->BeginForeignModify = BeginForeignModify;
	routine->BeginForeignInsert = BeginForeignInsert;
	routine->ExecForeignInsert = ExecForeignInsert;
	routine->ExecForeignUpdate = ExecForeignUpdate;
	routine->ExecForeignDelete = ExecForeignDelete;
	routine->EndForeignModify = EndForeignModify;
	routine->EndForeignInsert = EndForeignModify;
	routine->ExecForeignTruncate = ExecForeignTruncate;

	routine->ExplainForeignScan = ExplainForeignScan;
	routine->ExplainForeignModify = ExplainForeignModify;
	routine->ImportForeignSchema = ImportStripeSchema;
	PG_RETURN_POINTER(routine);
}
