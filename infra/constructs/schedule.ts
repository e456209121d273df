import { Aws, Duration, Stack } from 'aws-cdk-lib'
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IFunction } from 'aws-cdk-lib/aws-lambda'
import { Schedule as At, ScheduleExpression, ScheduleTargetInput } from 'aws-cdk-lib/aws-scheduler'
import { LambdaInvoke, StepFunctionsStartExecution } from 'aws-cdk-lib/aws-scheduler-targets'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions'
import { Construct } from 'constructs'
import { deadLetterAlarm } from './work-queue.ts'

/** EventBridge Scheduler with retries and a dead-letter queue of its own. */
export class HouseSchedule extends Construct {
  constructor(
    scope: Construct,
    id: string,
    props: {
      expression: string
      target: IFunction | StateMachine
      description: string
      errorImpact: string
      input?: object
    },
  ) {
    super(scope, id)
    const deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    })
    deadLetterAlarm(this, deadLetters, props.errorImpact)
    const options = {
      role: schedulerRole(this),
      deadLetterQueue: deadLetters,
      retryAttempts: 3,
      maxEventAge: Duration.hours(1),
      input: ScheduleTargetInput.fromObject(props.input ?? {}),
    }
    new At(this, 'Schedule', {
      schedule: ScheduleExpression.expression(props.expression),
      description: props.description,
      target:
        'stateMachineArn' in props.target
          ? new StepFunctionsStartExecution(props.target, options)
          : new LambdaInvoke(props.target, options),
    })
  }
}

/** One role for all schedules of the stack, so that another schedule costs no role and no policy of its own. */
const schedulerRole = (scope: Construct): Role => {
  const stack = Stack.of(scope)
  const found = stack.node.tryFindChild('SchedulerRole') as Role | undefined
  return (
    found ??
    new Role(stack, 'SchedulerRole', {
      // Only schedules of this account (EventBridge Scheduler user guide, "Confused deputy prevention").
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
      description: 'Calls what is due on a schedule',
    })
  )
}
