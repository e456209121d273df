import { Duration } from 'aws-cdk-lib'
import { Alarm, ComparisonOperator, type Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import { FilterPattern, MetricFilter } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import type { HouseFunction } from './house-function.ts'

/** What wakes an operator: who is hurt, and the section of docs/runbook.md that says what to do. */
export interface Waking {
  errorImpact: string
  runbook: string
}

/** Alarm on the first line with this message that a function logs: for states that are no errors of the function. */
export const logAlarm = (scope: Construct, id: string, of: HouseFunction, message: string, waking: Waking): Alarm => {
  const filter = new MetricFilter(scope, `${id}Filter`, {
    logGroup: of.logGroup,
    filterPattern: FilterPattern.stringValue('$.message', '=', message),
    metricNamespace: 'OpenLedger',
    metricName: id,
    metricValue: '1',
  })
  return alarm(scope, id, filter.metric({ statistic: 'Sum', period: Duration.minutes(5) }), 1, waking)
}

/** Alarm on a function that failed twice within five minutes: once is what retries are for. */
export const errorAlarm = (scope: Construct, id: string, of: HouseFunction, waking: Waking): Alarm =>
  alarm(scope, id, of.metricErrors({ period: Duration.minutes(5) }), 2, waking)

const alarm = (scope: Construct, id: string, metric: Metric, threshold: number, waking: Waking): Alarm =>
  new Alarm(scope, id, {
    alarmDescription: `${waking.errorImpact} Runbook: docs/runbook.md#${waking.runbook}`,
    metric,
    threshold,
    evaluationPeriods: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  })
