import { Duration } from 'aws-cdk-lib'
import { Alarm, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions'
import type { Construct } from 'constructs'

/** Rings at the first execution that fails. `impact` says who is hurt and names the page of docs/runbook.md. */
export const flowAlarm = (scope: Construct, id: string, flow: StateMachine, impact: string): Alarm =>
  new Alarm(scope, id, {
    alarmDescription: impact,
    metric: flow.metricFailed({ period: Duration.minutes(5) }),
    threshold: 1,
    evaluationPeriods: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  })
