import { Aws, Duration } from 'aws-cdk-lib'
import { Rule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import {
  Choice,
  Condition,
  CustomState,
  DefinitionBody,
  JsonPath,
  LogLevel,
  StateMachine,
  TaskInput,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions'
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks'
import type { Construct } from 'constructs'
import { flowLogs } from './constructs/flow-logs.ts'
import type { HouseFunction } from './constructs/house-function.ts'
import { deadLetterAlarm } from './constructs/work-queue.ts'

/**
 * prepare -> train -> register -> endpoints answer -> complete; whatever fails says why on the training. Endpoints that may
 * not be made now do not undo an adapter that was trained: it is charged for, and its first request starts them.
 */
export const trainingFlow = (
  scope: Construct,
  trainingRole: Role,
  steps: Record<'prepare' | 'register' | 'complete' | 'fail' | 'ensureHosting', HouseFunction>,
): StateMachine => {
  const training = { trainingId: JsonPath.stringAt('$.trainingId'), attempt: JsonPath.numberAt('$.attempt') }
  const step = (id: string, lambdaFunction: HouseFunction, payload: object, resultPath?: string) =>
    new LambdaInvoke(scope, id, {
      lambdaFunction,
      payload: TaskInput.fromObject(payload as Record<string, unknown>),
      payloadResponseOnly: true,
      retryOnServiceExceptions: true,
      ...(resultPath ? { resultPath } : {}),
    })
  const prepare = step('Prepare', steps.prepare, training)
  // CDK's own task lacks spot, checkpoints and uncompressed output: the request is made by the step before.
  const train = new CustomState(scope, 'Train', {
    stateJson: {
      Type: 'Task',
      Resource: `arn:${Aws.PARTITION}:states:::sagemaker:createTrainingJob.sync`,
      InputPath: '$.request',
      ResultPath: '$.job',
    },
  })
  const register = step('Register', steps.register, training, '$.registered')
  const hosting = step(
    'EnsureHosting',
    steps.ensureHosting,
    { baseId: JsonPath.stringAt('$.baseId'), rank: JsonPath.numberAt('$.rank') },
    '$.hosting',
  )
  const charged = { ...training, job: JsonPath.objectAt('$.job'), hosting: JsonPath.objectAt('$.hosting') }
  const complete = step('Complete', steps.complete, charged, JsonPath.DISCARD)
  const fail = step('Fail', steps.fail, { ...training, error: JsonPath.objectAt('$.error') })
  for (const state of [prepare, train, register, complete]) state.addCatch(fail, { resultPath: '$.error' })
  hosting.addCatch(complete, { resultPath: '$.hosting' })
  // Throttled job starts come back after 10, 20, 40 ... s: ten minutes in all.
  train.addRetry({
    errors: ['SageMaker.AmazonSageMakerException', 'ThrottlingException'],
    interval: Duration.seconds(10),
    backoffRate: 2,
    maxAttempts: 6,
  })

  const wait = new Wait(scope, 'EndpointStarts', { time: WaitTime.duration(Duration.seconds(2)) }).next(hosting)
  hosting.next(
    new Choice(scope, 'EndpointAnswers')
      .when(Condition.booleanEquals('$.hosting.ready', true), complete)
      .otherwise(wait),
  )
  const flow = new StateMachine(scope, 'Flow', {
    definitionBody: DefinitionBody.fromChainable(prepare.next(train).next(register).next(hosting)),
    // Spot may wait as long as it may run (2 x 5 days), then registering and hosting: below this a hold lives.
    timeout: Duration.days(12),
    tracingEnabled: true,
    logs: { destination: flowLogs(scope), level: LogLevel.ALL, includeExecutionData: false },
  })
  const jobs = `arn:${Aws.PARTITION}:sagemaker:${Aws.REGION}:${Aws.ACCOUNT_ID}:training-job/*`
  flow.addToRolePolicy(
    new PolicyStatement({
      actions: [
        'sagemaker:CreateTrainingJob',
        'sagemaker:DescribeTrainingJob',
        'sagemaker:StopTrainingJob',
        'sagemaker:AddTags',
        'sagemaker:ListTags',
      ],
      resources: [jobs],
    }),
  )
  flow.addToRolePolicy(
    new PolicyStatement({
      actions: ['iam:PassRole'],
      resources: [trainingRole.roleArn],
      conditions: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
    }),
  )
  // The managed rule by which Step Functions hears of the job's end (developer guide, "Service integration IAM").
  flow.addToRolePolicy(
    new PolicyStatement({
      actions: ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
      resources: [
        `arn:${Aws.PARTITION}:events:${Aws.REGION}:${Aws.ACCOUNT_ID}:rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule`,
      ],
    }),
  )
  return flow
}

/** A flow that was stopped from outside, or died, could not say so: its money goes back all the same. */
export const settleWhenStopped = (scope: Construct, flow: StateMachine, fail: HouseFunction): void => {
  const deadLetterQueue = new Queue(scope, 'DeadLetters', {
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
  })
  deadLetterAlarm(scope, deadLetterQueue, 'Money held for a training that ended stays locked until its hold expires.')
  new Rule(scope, 'OnStopped', {
    description: 'A training flow ended without its own last step',
    eventPattern: {
      source: ['aws.states'],
      detailType: ['Step Functions Execution Status Change'],
      detail: { stateMachineArn: [flow.stateMachineArn], status: ['FAILED', 'TIMED_OUT', 'ABORTED'] },
    },
    targets: [new LambdaFunction(fail, { deadLetterQueue, retryAttempts: 8, maxEventAge: Duration.hours(2) })],
  })
}
