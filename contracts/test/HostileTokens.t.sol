// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Settlement} from "../src/Settlement.sol";
import {ISettlement} from "../src/interfaces/ISettlement.sol";
import {SettlementFixture} from "./SettlementFixture.sol";
import {TreeKit} from "./TreeKit.sol";

/// @dev Keeps 1% of transfers once told so.
contract FeeToken is ERC20("Fee", "FEE") {
    bool public fee;

    constructor() {
        _mint(msg.sender, 1e24);
    }

    function setFee(bool on) external {
        fee = on;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (fee && from != address(0) && to != address(0)) {
            super._update(from, address(0xfee), value / 100);
            value -= value / 100;
        }
        super._update(from, to, value);
    }
}

/// @dev Six decimals, returns nothing (as USDT), refuses a list, can burn gas, return a bomb or return false.
contract AwkwardToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => bool) public blocked;
    mapping(address => uint8) public behaviour;
    uint8 public constant decimals = 6;

    constructor() {
        balanceOf[msg.sender] = 1e24;
    }

    function setBlocked(address account, bool on) external {
        blocked[account] = on;
    }

    function setBehaviour(address account, uint8 kind) external {
        behaviour[account] = kind;
    }

    function approve(address, uint256) external pure returns (bool) {
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        _move(from, to, amount);
    }

    function transfer(address to, uint256 amount) external {
        require(!blocked[to], "blocked");
        uint8 kind = behaviour[to];
        if (kind == 1) for (;;) {}
        if (kind == 2) {
            assembly {
                revert(0, 60000)
            }
        }
        if (kind == 3) {
            assembly {
                mstore(0, 0)
                return(0, 32)
            }
        }
        if (kind == 4) {
            assembly {
                mstore(0, 1)
                return(0, 31)
            }
        }
        _move(msg.sender, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Calls back into Settlement when a chosen payee is paid.
contract ReentrantToken is ERC20("Again", "AGN") {
    address public trap;
    bytes public call;
    Settlement public target;
    bool public succeeded;
    bytes public answer;

    constructor() {
        _mint(msg.sender, 1e24);
    }

    function arm(Settlement target_, address trap_, bytes calldata call_) external {
        (target, trap, call) = (target_, trap_, call_);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (to != trap || trap == address(0)) return;
        trap = address(0);
        (succeeded, answer) = address(target).call(call);
    }
}

contract HostileTokensTest is SettlementFixture {
    bytes4 private constant REENTERED = bytes4(keccak256("ReentrancyGuardReentrantCall()"));

    function _start(address token_) private {
        _build(IERC20(token_), false);
    }

    function test_FeeOnDepositCreditsWhatArrived() external {
        FeeToken fee = new FeeToken();
        _start(address(fee));
        fee.setFee(true);
        _deposit(client, 100 ether);
        assertEq(escrow.availableOf(client), 99 ether);
        assertEq(escrow.held(), 99 ether);
        assertEq(fee.balanceOf(address(escrow)), 99 ether);
    }

    function test_RevertWhen_FundingArrivesShort() external {
        FeeToken fee = new FeeToken();
        _start(address(fee));
        _deposit(client, 100 ether);
        _earned(alice, 50 ether);
        (uint64 epoch, bytes32 root) = _propose(50 ether);
        skip(WINDOW);
        fee.setFee(true);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.FundingShort.selector, 50 ether, 49.5 ether));
        settlement.activate(epoch, root);
        assertEq(settlement.currentRoot(), 0);
        assertEq(escrow.held(), 100 ether);
    }

    function test_TokenWithoutReturnValueAndSixDecimals() external {
        AwkwardToken odd = new AwkwardToken();
        _start(address(odd));
        _deposit(client, 100e6);
        uint256 a = _earned(alice, 7e6);
        _earned(bob, 5e6);
        _settle();
        settlement.claim(alice, 7e6, a, _proof(a));
        (uint256 paid,) = _push(_batchAll());
        assertEq(paid, 5e6);
        assertEq(odd.balanceOf(alice), 7e6);
        assertEq(odd.balanceOf(bob), 5e6);
    }

    function test_FailingPayeesAreSkippedAndKeepTheirClaim() external {
        AwkwardToken odd = new AwkwardToken();
        _start(address(odd));
        _deposit(client, 100e6);
        address[5] memory bad;
        for (uint160 i = 0; i < 5; ++i) {
            bad[i] = address(0x1000 + i);
            _earned(bad[i], 3e6);
        }
        _earned(bob, 5e6);
        _settle();
        odd.setBlocked(bad[0], true);
        for (uint8 i = 1; i < 5; ++i) {
            odd.setBehaviour(bad[i], i); // burns all gas, return bomb, returns false, returns 31 bytes
        }
        vm.expectEmit(address(settlement));
        emit ISettlement.PushSkipped(bad[0], bad[0], 3e6);
        uint256 gasBefore = gasleft();
        (uint256 paid, uint256 skipped) = _push(_batchAll());
        assertLt(gasBefore - gasleft(), 1_000_000);
        assertEq(paid, 5e6);
        assertEq(skipped, 5);
        assertEq(odd.balanceOf(bob), 5e6);
        assertEq(settlement.claimedTotal(), 5e6);
        for (uint256 i = 0; i < 5; ++i) {
            assertEq(settlement.claimedOf(bad[i]), 0);
        }
        odd.setBlocked(bad[0], false);
        settlement.claim(bad[0], 3e6, 0, _proof(0));
        assertEq(odd.balanceOf(bad[0]), 3e6);
    }

    function test_ReentrantClaimFails() external {
        ReentrantToken again = new ReentrantToken();
        _start(address(again));
        _deposit(client, 100 ether);
        uint256 a = _earned(alice, 7 ether);
        uint256 b = _earned(bob, 5 ether);
        _settle();
        bytes memory call = abi.encodeCall(settlement.claim, (bob, 5 ether, b, _proof(b)));
        again.arm(settlement, alice, call);
        settlement.claim(alice, 7 ether, a, _proof(a));
        assertFalse(again.succeeded());
        assertEq(bytes4(again.answer()), REENTERED);
        assertEq(settlement.claimedTotal(), 7 ether);
    }

    function test_ReentrantPushFailsInsideAPush() external {
        ReentrantToken again = new ReentrantToken();
        _start(address(again));
        _deposit(client, 100 ether);
        _earned(alice, 7 ether);
        _earned(bob, 5 ether);
        _settle();
        TreeKit.Batch memory all = _batchAll();
        again.arm(settlement, alice, abi.encodeCall(settlement.push, (all.plan, all.hashes, all.leaves)));
        (uint256 paid,) = _push(all);
        assertFalse(again.succeeded());
        assertEq(bytes4(again.answer()), REENTERED);
        assertEq(paid, 12 ether);
        assertEq(again.balanceOf(address(settlement)), 0);
    }

    function test_ReentrantActivationFails() external {
        ReentrantToken again = new ReentrantToken();
        _start(address(again));
        _deposit(client, 100 ether);
        _earned(alice, 7 ether);
        (uint64 epoch, bytes32 root) = _propose(7 ether);
        skip(WINDOW);
        again.arm(settlement, address(settlement), abi.encodeCall(settlement.activate, (epoch, root)));
        settlement.activate(epoch, root);
        assertFalse(again.succeeded());
        assertEq(bytes4(again.answer()), REENTERED);
        assertEq(escrow.held(), 93 ether);
    }
}
