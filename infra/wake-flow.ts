import { Duration } from 'aws-cdk-lib'
import {
  Choice,
  Condition,
  DefinitionBody,
  JsonPath,
  LogLevel,
  StateMachine,
  Succeed,
  TaskInput,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions'
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks'
import type { Construct } from 'constructs'
import { flowAlarm } from './constructs/flow-alarm.ts'
import { flowLogs } from './constructs/flow-logs.ts'
import type { HouseFunction } from './constructs/house-function.ts'

/** Brings a pool up that sleeps or was lost; the router starts it, and answers 503 with Retry-After meanwhile. */
export const wakeFlow = (scope: Construct, ensureHosting: HouseFunction): StateMachine => {
  const ensure = new LambdaInvoke(scope, 'Ensure', {
    lambdaFunction: ensureHosting,
    payload: TaskInput.fromObject({ baseId: JsonPath.stringAt('$.baseId'), rank: JsonPath.numberAt('$.rank') }),
    payloadResponseOnly: true,
    resultPath: '$.hosting',
  })
  const wait = new Wait(scope, 'StartsUp', { time: WaitTime.duration(Duration.seconds(5)) }).next(ensure)
  const ready = new Choice(scope, 'Answers')
    .when(Condition.booleanEquals('$.hosting.ready', true), new Succeed(scope, 'Awake'))
    .otherwise(wait)
  const flow = new StateMachine(scope, 'WakeFlow', {
    definitionBody: DefinitionBody.fromChainable(ensure.next(ready)),
    timeout: Duration.hours(1),
    tracingEnabled: true,
    logs: { destination: flowLogs(scope), level: LogLevel.ALL, includeExecutionData: false },
  })
  flowAlarm(
    scope,
    'WakeFailed',
    flow,
    'Requests for a pool are answered 503 until its endpoints can be made. Runbook: docs/runbook.md#pool-asleep',
  )
  return flow
}
