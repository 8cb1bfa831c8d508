from __future__ import annotations

import pytest

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.pipeline import status


def test_ctrl_c_is_told_to_be_gone_on_from(monkeypatch, capsys, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "status", interrupted)
    monkeypatch.setattr("sys.argv", ["pytc", "status", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert "Stopped. Run the same command again; what is finished is kept." in capsys.readouterr().err
    assert pytc_auto.status is interrupted
