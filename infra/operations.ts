import { Aspects, Aws, type IAspect } from 'aws-cdk-lib'
import { CfnAlarm } from 'aws-cdk-lib/aws-cloudwatch'
import { Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import { Construct, type IConstruct } from 'constructs'

/** Who hears of alarms: every alarm of the stack, whatever capability it belongs to, goes to one e-mail address. */
export class Operations extends Construct {
  constructor(scope: Construct, id: string, { alarmEmail }: { alarmEmail: string }) {
    super(scope, id)
    const topic = new Topic(this, 'Alarms', { displayName: 'OpenLedger alarms', enforceSSL: true })
    topic.addSubscription(new EmailSubscription(alarmEmail))
    topic.addToResourcePolicy(
      new PolicyStatement({
        effect: Effect.ALLOW,
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    )
    Aspects.of(scope).add(new NotifyBy(topic.topicArn))
  }
}

class NotifyBy implements IAspect {
  readonly #topicArn: string
  constructor(topicArn: string) {
    this.#topicArn = topicArn
  }
  visit(node: IConstruct): void {
    if (node instanceof CfnAlarm) node.alarmActions = [this.#topicArn]
  }
}
